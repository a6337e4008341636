import { createHash } from 'node:crypto';
import {
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import { randomIdentity } from '../shared/identity.ts';
import type { Attachable, SessionMethod } from './attachable.ts';
import { ServerCall } from './call.ts';
import { grpcStatus, SessionError } from './errors.ts';
import { statusOf } from './grpc-status.ts';
import { HeaderFrameJoiner } from './header-frames.ts';
import { healthService } from './health.ts';
import { TunnelStream, type SessionDialer } from './tunnel.ts';

/** What a session offers and is known by. */
export interface SessionOptions {
  /**
   * Names the tree that local sources come from, so that the daemon can build on what an earlier
   * session of the same tree sent. Any text; what a header cannot hold is sent as its hash.
   */
  readonly sharedKey: string;
  readonly attachables: readonly Attachable[];
}

/** A call that failed on our side, and so may be why the build did. */
export interface SessionFailure {
  /** Full method path. */
  readonly method: string;
  readonly error: unknown;
}

/** Of more failures than this, the first ones are the causes. */
const maxFailures = 20;

/** How long the orderly end may take before the stream is cut. */
const closeTimeoutMs = 2000;

const windowBytes = 16 * 1024 * 1024;

/*
 * A request has a header field for each include and exclude pattern, and one build has many calls
 * at once, so the limits that guard public servers are out of the way: the only peer is our daemon.
 */
const http2Options = {
  maxHeaderListPairs: 1_000_000,
  maxSessionMemory: 1000,
  // Patterns may begin or end with a space.
  strictFieldWhitespaceValidation: false,
  settings: {
    initialWindowSize: windowBytes,
    maxHeaderListSize: 0xffffff,
    maxFrameSize: 0xffffff,
  },
} as const;

/**
 * What we serve to the daemon during one build: a gRPC server on a byte stream that the daemon
 * reads and writes through a `Control/Session` call.
 *
 * Follows BuildKit `session/session.go` and `session/grpc.go`.
 */
export class Session {
  /** Unique, and what a solve request refers to. */
  readonly id = randomIdentity();
  readonly sharedKey: string;
  /** Headers of the `Control/Session` request, to be sent in order and with names repeated. */
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly #methods: ReadonlyMap<string, SessionMethod>;
  readonly #calls = new Map<ServerCall, Promise<void>>();
  readonly #failures: SessionFailure[] = [];

  constructor(options: SessionOptions) {
    this.sharedKey = printableKey(options.sharedKey);
    this.#methods = new Map(
      [healthService(), ...options.attachables].flatMap(({ methods }) => Object.entries(methods)),
    );
    this.metadata = [
      ['x-docker-expose-session-uuid', this.id],
      ['x-docker-expose-session-sharedkey', this.sharedKey],
      ...Array.from(
        this.#methods.keys(),
        (method) => ['x-docker-expose-session-grpc-method', method] as const,
      ),
    ];
  }

  /**
   * Calls that failed on our side, oldest first: where a build's own error only repeats what we
   * told the daemon, this has the real cause. Refusals that the protocol foresees and calls that
   * were cancelled are left out.
   */
  get failures(): readonly SessionFailure[] {
    return this.#failures;
  }

  /** Opens the tunnel and serves on it; ends and fails as `serve` does, and as `dial` does. */
  async run(dial: SessionDialer, signal: AbortSignal): Promise<void> {
    const headerFrames = new HeaderFrameJoiner();
    const tunnel = new TunnelStream(await dial(this.metadata, signal), (data) =>
      headerFrames.push(data),
    );
    await this.serve(tunnel, signal);
  }

  /**
   * Answers calls on `stream` until `signal` fires, which is the orderly end: running calls are
   * cancelled, the stream is half-closed and drained for a short while, and the promise resolves.
   *
   * Throws `SessionError` `SESSION_TUNNEL_LOST` when the stream ends in any other way.
   */
  async serve(stream: Duplex, signal: AbortSignal): Promise<void> {
    const server = performServerHandshake(stream, http2Options);
    server.setLocalWindowSize(windowBytes);
    server.on('stream', (call, headers, _flags, rawHeaders) => {
      this.#accept(call, headers, rawHeaders);
    });
    const stopped = Promise.withResolvers<Error | undefined>();
    const listener = addAbortListener(signal, () => {
      stopped.resolve(undefined);
    });
    server.on('error', stopped.resolve);
    server.on('close', () => {
      stopped.resolve(undefined);
    });
    const cause = await stopped.promise;
    listener[Symbol.dispose]();
    if (signal.aborted) await this.#close(server, stream);
    server.destroy();
    stream.destroy();
    if (!signal.aborted) throw tunnelLost(cause);
  }

  #accept(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): void {
    // Whoever waits for the call learns of its failure by its end.
    stream.on('error', () => undefined);
    const method = headers[':path'] ?? '';
    const call = new ServerCall(stream, method, rawHeaders);
    const answer = this.#methods.get(method);
    if (answer === undefined) {
      call.finish(grpcStatus.unimplemented, `unknown method ${method}`);
      return;
    }
    const running = this.#answer(call, answer).finally(() => this.#calls.delete(call));
    this.#calls.set(call, running);
  }

  async #answer(call: ServerCall, answer: SessionMethod): Promise<void> {
    try {
      await answer(call);
      call.finish(grpcStatus.ok);
    } catch (error) {
      if (!call.signal.aborted && !isRefusal(error) && this.#failures.length < maxFailures) {
        this.#failures.push({ method: call.method, error });
      }
      call.finish(statusOf(error), messageOf(error));
    }
  }

  async #close(server: ServerHttp2Session, stream: Duplex): Promise<void> {
    const timeout = new AbortController();
    const running = [...this.#calls.values()];
    for (const call of this.#calls.keys()) call.cancel();
    server.close();
    stream.resume();
    // A failure of the stream is of no interest any more, and a call may not listen to its signal.
    const drained = finished(stream, { signal: timeout.signal });
    await Promise.race([
      Promise.allSettled([drained, ...running]),
      sleep(closeTimeoutMs, undefined, { signal: timeout.signal }),
    ]);
    timeout.abort();
  }
}

/** Header values are printable ASCII, and a key beyond that need only stay the same. */
function printableKey(key: string): string {
  if (/^[\x21-\x7e]{0,200}$/.test(key)) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

function isRefusal(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'SESSION_CALL_REFUSED';
}

function tunnelLost(cause: Error | undefined): SessionError {
  if (cause instanceof SessionError) return cause;
  return new SessionError(
    'SESSION_TUNNEL_LOST',
    'the session with the BuildKit daemon ended before the build did',
    { cause },
  );
}
