import {
  Agent,
  type ClientRequestArgs,
  type IncomingMessage,
  request,
  type RequestOptions,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiTarget, ResolveApiTarget } from './api-target.ts';
import { KubernetesError } from './errors.ts';
import { unreachable } from './exec/connect-failure.ts';
import { connectToApiServer, type ConnectOptions } from './exec/connect.ts';
import type { Status } from './kube-objects.ts';

/** How long one answer may take, retries not counted. */
export interface KubeHttpLimits {
  /** Default 15 000. */
  readonly answerTimeoutMs: number;
  /** For creates, which an admission webhook may keep for 30 s; default 35 000. */
  readonly createTimeoutMs: number;
  /**
   * How long a server that has answered before may be away or overloaded, as while it is restarted;
   * a third of that for errors of its own (500). Default 30 000.
   */
  readonly outageMs: number;
  /** Whether the server is known to have answered, though not to this client; default false. */
  readonly isKnown: boolean;
}

const defaultLimits: KubeHttpLimits = {
  answerTimeoutMs: 15_000,
  createTimeoutMs: 35_000,
  outageMs: 30_000,
  isKnown: false,
};
/** For a server that has not answered yet, since it may be a wrong address. */
const retries = 4;
const firstRetryMs = 100;
const longestBackOffMs = 2_000;
const longestRetryMs = 10_000;
/** Well under the minute after which many load balancers forget an idle connection. */
const socketKeepAliveMs = 30_000;
const largestAnswerBytes = 64 * 1024 * 1024;

/** One call, as HTTP has it. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the server's own path, with a leading slash. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly contentType?: string;
}

/** An answer in full. */
export interface ApiAnswer {
  readonly text: string;
  /** The server's clock, by its Date header; our own when it sends none. */
  readonly serverTimeMs: number;
}

/** The server answered, but not with what was asked for. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly httpStatus: number;
  /** Unset when the body is no Kubernetes Status, as from a proxy in between. */
  readonly status: Status | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(httpStatus: number, status: Status | undefined, retryAfterMs: number | undefined) {
    super(status?.message ?? `HTTP ${httpStatus}`);
    this.httpStatus = httpStatus;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * HTTP to the API server over kept connections.
 *
 * Retries what may pass by itself: 429 and 5xx, honouring Retry-After, and connections that fail or
 * break; for half a minute where the server has answered before, else four times. A create may so be sent twice: its caller takes "already exists" for success. Credentials
 * that are refused (401) are renewed once. Throws `ApiRefusal`, `KUBE_API_UNREACHABLE`, what
 * `resolveTarget` throws, or the signal's reason.
 */
export class KubeHttp implements Disposable {
  readonly #resolveTarget: ResolveApiTarget;
  readonly #limits: KubeHttpLimits;
  readonly #agent = new SocketAgent();
  /** The last target that was answered with 401. */
  #refused: ApiTarget | undefined;
  #hasAnswered: boolean;

  constructor(resolveTarget: ResolveApiTarget, limits: Partial<KubeHttpLimits> = {}) {
    this.#resolveTarget = resolveTarget;
    this.#limits = { ...defaultLimits, ...limits };
    this.#hasAnswered = this.#limits.isKnown;
  }

  async call(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer> {
    let renewed = false;
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      // Before the clock of the answer starts: a credential plugin may take longer than that.
      const target = await this.#resolveTarget(signal, this.#refused);
      try {
        return await this.#once(call, target, signal);
      } catch (failure) {
        signal.throwIfAborted();
        // A token may have been rotated since it was read: once, a new one is tried.
        const renew: boolean = !renewed && this.#noteRefusal(failure, target);
        const waitMs = renew ? 0 : retryDelayMs(failure, attempt);
        if (waitMs === undefined || !this.#mayRetry(failure, attempt, startedAt)) throw failure;
        renewed ||= renew;
        await sleep(waitMs, undefined, { signal });
      }
    }
  }

  /** The lines of an endless answer; ends when the server ends it. Not retried. */
  async *lines(call: ApiCall, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const target = await this.#resolveTarget(signal, this.#refused);
    const response = await this.#send(call, target, signal);
    try {
      if (response.statusCode !== 200) throw await refusal(response);
      let rest = '';
      response.setEncoding('utf8');
      for await (const chunk of response as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        yield* lines.filter((line) => line !== '');
      }
    } catch (failure) {
      signal.throwIfAborted();
      this.#noteRefusal(failure, target);
      throw named(failure, target);
    } finally {
      response.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #mayRetry(failure: unknown, attempt: number, startedAt: number): boolean {
    if (attempt < retries) return true;
    if (!this.#hasAnswered) return false;
    const { outageMs } = this.#limits;
    const isOwnError = failure instanceof ApiRefusal && failure.httpStatus === 500;
    return performance.now() - startedAt < (isOwnError ? outageMs / 3 : outageMs);
  }

  /** Whether it is a 401, after which the target's credentials are not used again. */
  #noteRefusal(failure: unknown, target: ApiTarget): boolean {
    if (!(failure instanceof ApiRefusal) || failure.httpStatus !== 401) return false;
    this.#refused = target;
    return true;
  }

  async #once(call: ApiCall, target: ApiTarget, signal: AbortSignal): Promise<ApiAnswer> {
    const { answerTimeoutMs, createTimeoutMs } = this.#limits;
    const timeoutMs = call.method === 'POST' ? createTimeoutMs : answerTimeoutMs;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await this.#send(call, target, AbortSignal.any([signal, timeout]));
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw await refusal(response);
      const date = Date.parse(response.headers.date ?? '');
      const text = await readAll(response);
      this.#hasAnswered = true;
      return { text, serverTimeMs: Number.isNaN(date) ? Date.now() : date };
    } catch (failure) {
      // Where the socket would only say that it was closed.
      const late = new Error(`no answer within ${timeoutMs / 1000} s`);
      throw named(timeout.aborted ? late : failure, target);
    }
  }

  #send(call: ApiCall, target: ApiTarget, signal: AbortSignal): Promise<IncomingMessage> {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const query = new URLSearchParams(call.query ?? {}).toString();
    const base = target.server.pathname.replace(/\/$/, '');
    return new Promise((resolve, reject) => {
      const options: RequestOptions & Connecting = {
        agent: this.#agent,
        connecting: { target, signal, timeoutMs: this.#limits.answerTimeoutMs },
        host: target.server.hostname,
        port: target.server.port,
        method: call.method,
        path: `${base}${call.path}${query === '' ? '' : `?${query}`}`,
        headers: {
          ...target.headers,
          Host: target.server.host,
          Accept: 'application/json',
          'User-Agent': 'kube-buildx-action',
          ...(body === undefined
            ? {}
            : {
                'Content-Type': call.contentType ?? 'application/json',
                'Content-Length': Buffer.byteLength(body),
              }),
        },
        signal,
      };
      const outgoing = request(options);
      outgoing.once('response', resolve);
      outgoing.on('error', (error) => {
        reject(signal.aborted ? (signal.reason as Error) : named(error, target));
      });
      outgoing.end(body);
    });
  }
}

/** What a request brings along for the connection that it may need. */
interface Connecting {
  readonly connecting: ConnectOptions & { readonly target: ApiTarget };
}

/** Keeps connections; Node's own agents know neither `proxy-url` nor rotating certificates. */
class SocketAgent extends Agent {
  constructor() {
    super({ keepAlive: true });
  }

  /** A connection belongs to the certificate that it was made with, as in `https.Agent`. */
  override getName(options: ClientRequestArgs & Partial<Connecting>): string {
    return `${super.getName(options)}:${String(options.connecting?.target.tls.cert)}`;
  }

  override createConnection(
    options: ClientRequestArgs & Connecting,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { target, ...wait } = options.connecting;
    connectToApiServer(target, wait).then(
      (socket) => {
        socket.setNoDelay(true).setKeepAlive(true, socketKeepAliveMs);
        callback(null, socket);
      },
      (error: unknown) => {
        // The type asks for a stream even with an error; Node looks at the error alone.
        callback(error as Error, undefined as unknown as Duplex);
      },
    );
    return undefined;
  }
}

/** Undefined: not to be retried. */
function retryDelayMs(failure: unknown, attempt: number): number | undefined {
  const doubledMs = Math.min(firstRetryMs * 2 ** attempt, longestBackOffMs);
  const backOffMs = doubledMs * (0.75 + Math.random() / 2);
  if (!(failure instanceof ApiRefusal)) return isBrokenConnection(failure) ? backOffMs : undefined;
  const { httpStatus, retryAfterMs } = failure;
  if (httpStatus !== 429 && httpStatus < 500) return undefined;
  return Math.min(Math.max(retryAfterMs ?? 0, backOffMs), longestRetryMs);
}

/** Gives what a socket said a name, unless it has one. */
function named(failure: unknown, { server, proxy }: ApiTarget): ApiRefusal | KubernetesError {
  const isNamed = failure instanceof ApiRefusal || failure instanceof KubernetesError;
  return isNamed ? failure : unreachable(failure, server, proxy);
}

const brokenConnection = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);

function isBrokenConnection(failure: unknown): boolean {
  if (!(failure instanceof KubernetesError) || failure.code !== 'KUBE_API_UNREACHABLE')
    return false;
  return brokenConnection.has((failure.cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

async function refusal(response: IncomingMessage): Promise<ApiRefusal> {
  const text = await readAll(response).catch(() => '');
  const seconds = Number(response.headers['retry-after']);
  return new ApiRefusal(
    response.statusCode ?? 0,
    parseStatus(text),
    Number.isFinite(seconds) ? seconds * 1000 : undefined,
  );
}

/** A Status, or undefined where the text is something else. */
function parseStatus(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isStatus = typeof value === 'object' && value !== null && 'kind' in value;
    return isStatus && value.kind === 'Status' ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > largestAnswerBytes) {
      throw new KubernetesError('KUBE_API_FAILED', 'the API server sends more than 64 MiB at once');
    }
  }
  return Buffer.concat(chunks).toString('utf8');
}
