import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiTarget, ResolveApiTarget } from './api-target.ts';
import { KubernetesError } from './errors.ts';
import { connectToApiServer } from './exec/connect.ts';
import type { Status } from './kube-objects.ts';

/** For one answer, retries not counted. */
const answerTimeoutMs = 15_000;
const retries = 4;
const firstRetryMs = 100;
const longestRetryMs = 10_000;
/** Tokens are read anew after this. */
const targetAgeMs = 30_000;
/** Well under the minute after which many load balancers forget an idle connection. */
const socketKeepAliveMs = 30_000;
const largestAnswerBytes = 64 * 1024 * 1024;

/** One call, as HTTP has it. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
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
 * break. A create may so be sent twice: its caller takes "already exists" for success. Throws
 * `ApiRefusal` or the socket's own error.
 */
export class KubeHttp implements Disposable {
  readonly #resolveTarget: ResolveApiTarget;
  readonly #agent: SocketAgent;
  #target: { readonly at: number; readonly value: Promise<ApiTarget> } | undefined;

  constructor(resolveTarget: ResolveApiTarget) {
    this.#resolveTarget = resolveTarget;
    this.#agent = new SocketAgent((signal) => this.#currentTarget(signal));
  }

  async call(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer> {
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once(call, signal);
      } catch (failure) {
        signal.throwIfAborted();
        const unauthorized = failure instanceof ApiRefusal && failure.httpStatus === 401;
        // A token may have been rotated since it was read: once, a new one is tried.
        const renew: boolean = unauthorized && !renewed && this.#target !== undefined;
        const waitMs = renew ? 0 : retryDelayMs(failure, attempt);
        if (waitMs === undefined) throw failure;
        if (renew) this.#forgetTarget();
        renewed ||= renew;
        await sleep(waitMs, undefined, { signal });
      }
    }
  }

  /** The lines of an endless answer; ends when the server ends it. Not retried. */
  async *lines(call: ApiCall, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const response = await this.#send(call, signal);
    try {
      if (response.statusCode !== 200) throw await refusal(response);
      let rest = '';
      response.setEncoding('utf8');
      for await (const chunk of response as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        yield* lines.filter((line) => line !== '');
      }
    } finally {
      response.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #once(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]);
    try {
      const response = await this.#send(call, limited);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw await refusal(response);
      const date = Date.parse(response.headers.date ?? '');
      const text = await readAll(response);
      return { text, serverTimeMs: Number.isNaN(date) ? Date.now() : date };
    } catch (failure) {
      // Says "timeout", where the socket would only say that it was closed.
      limited.throwIfAborted();
      throw failure;
    }
  }

  async #send(call: ApiCall, signal: AbortSignal): Promise<IncomingMessage> {
    const target = await this.#currentTarget(signal);
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const query = new URLSearchParams(call.query ?? {}).toString();
    const base = target.server.pathname.replace(/\/$/, '');
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
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
      });
      outgoing.once('response', resolve);
      outgoing.on('error', (error) => {
        reject(signal.aborted ? (signal.reason as Error) : error);
      });
      outgoing.end(body);
    });
  }

  #currentTarget(signal: AbortSignal): Promise<ApiTarget> {
    const now = performance.now();
    if (this.#target === undefined || now - this.#target.at > targetAgeMs) {
      const value = this.#resolveTarget(signal);
      this.#target = { at: now, value };
      value.catch(() => {
        this.#forgetTarget();
      });
    }
    return this.#target.value;
  }

  #forgetTarget(): void {
    this.#target = undefined;
  }
}

/** Keeps connections; Node's own agents know neither `proxy-url` nor rotating certificates. */
class SocketAgent extends Agent {
  readonly #target: (signal: AbortSignal) => Promise<ApiTarget>;

  constructor(target: (signal: AbortSignal) => Promise<ApiTarget>) {
    super({ keepAlive: true });
    this.#target = target;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const signal = options.signal ?? new AbortController().signal;
    this.#target(signal)
      .then((target) => connectToApiServer(target, { signal, timeoutMs: answerTimeoutMs }))
      .then(
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
  if (attempt >= retries) return undefined;
  const backOffMs = firstRetryMs * 2 ** attempt * (0.75 + Math.random() / 2);
  if (!(failure instanceof ApiRefusal)) return isBrokenConnection(failure) ? backOffMs : undefined;
  const { httpStatus, retryAfterMs } = failure;
  if (httpStatus !== 429 && httpStatus < 500) return undefined;
  return Math.min(Math.max(retryAfterMs ?? 0, backOffMs), longestRetryMs);
}

/** What the socket said, where `connectToApiServer` has already given it a name. */
export function socketFailure(failure: unknown): unknown {
  const named = failure instanceof KubernetesError && failure.code === 'KUBE_API_UNREACHABLE';
  return named ? (failure.cause ?? failure) : failure;
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
  return brokenConnection.has((socketFailure(failure) as NodeJS.ErrnoException).code ?? '');
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
    if (sizeBytes > largestAnswerBytes) throw new Error('the answer is larger than 64 MiB');
  }
  return Buffer.concat(chunks).toString('utf8');
}
