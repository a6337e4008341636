import type { ClientHttp2Stream } from 'node:http2';

import type { CallOptions } from '@grpc/grpc-js';

import type { CountedDuplex, Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import {
  BuildHistoryRequest,
  ControlDefinition,
  type InfoResponse,
  type ListWorkersResponse,
  type SolveRequest,
  type SolveResponse,
  type StatusResponse,
} from '../wire/gen/control.ts';
import { rpcMethod, type RpcMethod } from '../wire/rpc.ts';
import { BuildkitError, canceledError, fromCallError, lostError, protocolError } from './errors.ts';
import { ChannelCredentials, Client, Metadata } from './grpc-stubs.ts';
import { Http2Channel } from './http2-channel.ts';

const { methods } = ControlDefinition;
const info = rpcMethod(ControlDefinition, methods.info);
const listWorkers = rpcMethod(ControlDefinition, methods.listWorkers);
const solve = rpcMethod(ControlDefinition, methods.solve);
const status = rpcMethod(ControlDefinition, methods.status);
const listenBuildHistory = rpcMethod(ControlDefinition, methods.listenBuildHistory);
const session = rpcMethod(ControlDefinition, methods.session);

const unaryMethods: ReadonlySet<string> = new Set([info.path, listWorkers.path, solve.path]);

/** How long a call that does no work in the daemon may take, unless the caller says otherwise. */
const defaultCallTimeoutMs = 15_000;

/** Settings of a connection. */
export interface ConnectionOptions {
  /** For every call but `solve` and `status`, which take as long as the build; 15 s by default. */
  readonly callTimeoutMs?: number;
}

/**
 * The Control API of one BuildKit daemon over one byte stream.
 *
 * In: a stream from a `Dialer`. Out: typed calls that fail with `BuildkitError`, and the raw stream
 * of a session. Client stubs are grpc-js's, on a channel of our own. The stream is never renewed:
 * once it is gone, every call fails with `BUILDKIT_LOST`.
 */
export class BuildkitConnection implements AsyncDisposable {
  /** Settles when the connection is gone: `BUILDKIT_LOST`, or undefined when we closed it. */
  readonly closed: Promise<BuildkitError | undefined>;
  readonly #channel: Http2Channel;
  readonly #client: Client;
  readonly #callTimeoutMs: number;
  readonly #stream: CountedDuplex;
  #version = '';

  private constructor(stream: CountedDuplex, options: ConnectionOptions) {
    const channel = new Http2Channel(stream, { unaryMethods });
    this.#stream = stream;
    this.#channel = channel;
    this.#client = new Client(channel.target, ChannelCredentials.createInsecure(), {
      channelOverride: channel,
    });
    this.#callTimeoutMs = options.callTimeoutMs ?? defaultCallTimeoutMs;
    this.closed = channel.closed.then((reason) =>
      reason === undefined ? undefined : lostError('the build', reason.message, reason),
    );
  }

  /**
   * Dials and waits for the first answer, since a stream alone does not prove a daemon behind it.
   *
   * Throws what the dialer throws; `BUILDKIT_UNAVAILABLE` when nobody answers, which is worth
   * another try while a pod starts; `BUILDKIT_CANCELED`.
   */
  static async open(
    dial: Dialer,
    signal: AbortSignal,
    options: ConnectionOptions = {},
  ): Promise<BuildkitConnection> {
    const duplex = await dial(signal);
    if (signal.aborted) {
      duplex.destroy();
      throw canceledError({ rpc: 'Info', signal });
    }
    const connection = new BuildkitConnection(duplex, options);
    try {
      const { buildkitVersion } = await connection.info(signal);
      connection.#version = buildkitVersion?.version ?? '';
      return connection;
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw asUnavailable(error);
    }
  }

  /** Of the daemon, such as `v0.34.2`; empty when it does not tell. */
  get version(): string {
    return this.#version;
  }

  /** Bytes sent to the far side so far, where the stream counts them. */
  get bytesWritten(): number | undefined {
    return this.#stream.bytesWritten;
  }

  /** Bytes that the daemon has sent so far, where the stream counts them: signs of life. */
  get bytesRead(): number | undefined {
    return this.#stream.bytesRead;
  }

  /** Why calls fail from now on; undefined while the connection stands. */
  get lost(): BuildkitError | undefined {
    const reason = this.#channel.lost();
    return reason === undefined ? undefined : lostError('the build', reason.message, reason);
  }

  /** Version of the daemon. */
  info(signal: AbortSignal): Promise<InfoResponse> {
    return this.#unary(info, {}, { signal, timeoutMs: this.#callTimeoutMs });
  }

  /** Workers of the daemon with their platforms and labels. */
  listWorkers(signal: AbortSignal): Promise<ListWorkersResponse> {
    return this.#unary(listWorkers, { filter: [] }, { signal, timeoutMs: this.#callTimeoutMs });
  }

  /**
   * Runs a build and answers when it is over; aborting the signal makes the daemon stop it.
   *
   * Throws `BUILDKIT_CALL_FAILED` with details when the build fails.
   */
  solve(request: SolveRequest, signal: AbortSignal): Promise<SolveResponse> {
    return this.#unary(solve, request, { signal });
  }

  /** Progress of the build `ref`, from its start to its end; the daemon waits 6 s for it. */
  status(ref: string, signal: AbortSignal): AsyncGenerator<StatusResponse, void, void> {
    return this.#serverStream(status, { Ref: ref }, signal);
  }

  /** Why the build `ref` failed, from the daemon's history; undefined when that does not say. */
  async recordedFailure(ref: string, signal: AbortSignal): Promise<string | undefined> {
    const request = BuildHistoryRequest.fromPartial({ Ref: ref, EarlyExit: true });
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(this.#callTimeoutMs)]);
    let message: string | undefined;
    for await (const { record } of this.#serverStream(listenBuildHistory, request, inTime)) {
      message = record?.error?.message ?? message;
    }
    return message;
  }

  /**
   * Opens `Control/Session` with these headers, each pair a field of its own, in order.
   *
   * The stream is raw: gRPC frames both ways, nothing read yet, closed by whoever uses it. It is
   * returned at once, because the daemon answers only when it has bytes for us.
   */
  openSessionStream(
    headers: readonly (readonly [name: string, value: string])[],
    signal: AbortSignal,
  ): Promise<ClientHttp2Stream> {
    const fields = new Map<string, string[]>();
    for (const [name, value] of headers) {
      const values = fields.get(name);
      if (values === undefined) fields.set(name, [value]);
      else values.push(value);
    }
    return new Promise((resolve) => {
      if (signal.aborted) throw canceledError({ rpc: 'Session', signal });
      try {
        const stream = this.#channel.request({
          ...Object.fromEntries(fields),
          ':method': 'POST',
          ':path': session.path,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        // The connection may go before the caller has attached its own handler.
        stream.on('error', () => undefined);
        resolve(stream);
      } catch (error) {
        throw lostError('Session', messageOf(error), error);
      }
    });
  }

  /** Ends the connection at once, for `reason`: calls under way fail with `BUILDKIT_LOST`. */
  cut(reason: Error): void {
    this.#stream.destroy(reason);
  }

  /** Ends all calls and the byte stream. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#channel[Symbol.asyncDispose]();
  }

  #unary<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  ): Promise<Response> {
    const decoder = new Decoder(method);
    const { rpc } = decoder;
    if (signal.aborted) return Promise.reject(canceledError({ rpc, signal }));
    return new Promise((resolve, reject) => {
      const options: CallOptions =
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        decoder.decode,
        request,
        new Metadata(),
        options,
        (error, response) => {
          signal.removeEventListener('abort', cancel);
          if (error === null && response !== undefined) resolve(response);
          else reject(decoder.failure ?? fromCallError(error, { rpc, signal }));
        },
      );
      const cancel = (): void => {
        call.cancel();
      };
      signal.addEventListener('abort', cancel);
    });
  }

  async *#serverStream<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): AsyncGenerator<Response, void, void> {
    const decoder = new Decoder(method);
    const { rpc } = decoder;
    if (signal.aborted) throw canceledError({ rpc, signal });
    const stream = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      decoder.decode,
      request,
    );
    const cancel = (): void => {
      stream.cancel();
    };
    // The stub may report the end of a call that nobody reads any more.
    stream.on('error', () => undefined);
    signal.addEventListener('abort', cancel);
    try {
      // Not `on('data')`: the stub emits its error ahead of the messages that it still holds.
      for await (const message of stream) yield message as Response;
    } catch (error) {
      throw decoder.failure ?? fromCallError(error, { rpc, signal });
    } finally {
      // Leaving the loop does not end the call, and an open call keeps its window.
      cancel();
      signal.removeEventListener('abort', cancel);
    }
  }
}

/** Remembers that a message was unreadable: the stubs report it as if the daemon had said so. */
class Decoder<Response> {
  readonly rpc: string;
  failure: BuildkitError | undefined;
  readonly decode: (bytes: Buffer) => Response;

  constructor({
    path,
    responseDeserialize,
  }: Pick<RpcMethod<unknown, Response>, 'path' | 'responseDeserialize'>) {
    this.rpc = path.slice(path.lastIndexOf('/') + 1);
    this.decode = (bytes) => {
      try {
        return responseDeserialize(bytes);
      } catch (error) {
        this.failure = protocolError(this.rpc, messageOf(error), error);
        throw error;
      }
    };
  }
}

/** Before the first answer, a lost stream and a silent one mean the same: no daemon there yet. */
function asUnavailable(error: unknown): unknown {
  if (!(error instanceof BuildkitError)) return error;
  if (error.code !== 'BUILDKIT_LOST' && error.code !== 'BUILDKIT_TIMEOUT') return error;
  return new BuildkitError(
    'BUILDKIT_UNAVAILABLE',
    `no BuildKit daemon answered at the other end of the stream: ${messageOf(error.cause ?? error)}`,
    {
      hint: 'See whether buildkitd has started in the pod; its log says what keeps it.',
      cause: error.cause ?? error,
    },
  );
}
