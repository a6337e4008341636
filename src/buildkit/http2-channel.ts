import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';

import type { ChannelInterface, Deadline } from '@grpc/grpc-js';

import { ConnectivityState } from './grpc-stubs.ts';
import { Http2Call, type CallTransport, type GrpcCall } from './http2-call.ts';

/** Receive windows; HTTP/2's own 64 KiB would cost a round trip each through an exec stream. */
const streamWindowBytes = 8 * 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

/** Of Node's own book-keeping per connection; the default of 10 is below one full window. */
const maxSessionMemoryMb = 64;

/**
 * nghttp2 ends the whole connection over a header above 64 KiB, as the details of a failure in a
 * large Dockerfile are. A daemon that knows the limit gives up that one answer instead.
 */
const maxHeaderListBytes = 65_535;

/** How long open streams may keep a closing connection. */
const closeGraceMs = 1000;

/** Settings of a channel. */
export interface Http2ChannelOptions {
  /** Full paths of the methods that answer with exactly one message. */
  readonly unaryMethods: ReadonlySet<string>;
}

/**
 * A grpc-js channel that runs `node:http2` straight on one byte stream, for `channelOverride`.
 *
 * It belongs to that stream: it never reconnects, resolves or retries. Streams that the stubs are
 * too slow for are opened on the same connection with `request`.
 */
export class Http2Channel implements ChannelInterface, CallTransport, AsyncDisposable {
  readonly target = 'http://buildkitd';
  /** Settles when the connection is gone: with the reason, or undefined when we closed it. */
  readonly closed: Promise<Error | undefined>;
  readonly #duplex: Duplex;
  readonly #session: ClientHttp2Session;
  readonly #unaryMethods: ReadonlySet<string>;
  #reason: Error | undefined;
  #closing = false;
  #openStreams = 0;

  /** Takes over `duplex`, which must be connected and unread. */
  constructor(duplex: Duplex, options: Http2ChannelOptions) {
    this.#duplex = duplex;
    this.#unaryMethods = options.unaryMethods;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    // Listens before node:http2 does, so that the stream's own words are the reason.
    duplex.on('error', (error) => {
      this.#lose(error);
    });
    this.#session = this.#connect();
    duplex.on('end', () => {
      this.#loseSoon(new Error('byte stream to the daemon ended'));
    });
    duplex.on('close', () => {
      this.#loseSoon(new Error('byte stream to the daemon closed'));
    });
    this.#session.on('close', () => {
      this.#lose(new Error('HTTP/2 connection to the daemon closed'));
      resolve(this.#reason);
    });
  }

  #connect(): ClientHttp2Session {
    const session = connect(this.target, {
      createConnection: () => this.#duplex,
      maxSessionMemory: maxSessionMemoryMb,
      settings: {
        enablePush: false,
        initialWindowSize: streamWindowBytes,
        maxHeaderListSize: maxHeaderListBytes,
      },
    });
    session.on('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(connectionWindowBytes);
    });
    session.on('goaway', (code: number, _lastStreamId: number, debug?: Buffer) => {
      if (code === constants.NGHTTP2_NO_ERROR) return;
      const said = debug === undefined ? '' : `: ${debug.toString('utf8')}`;
      this.#lose(new Error(`daemon sent GOAWAY with HTTP/2 error code ${code}${said}`));
    });
    session.on('error', (error: Error) => {
      this.#lose(error);
    });
    return session;
  }

  /** Opens a stream; throws when the connection is gone or takes no new streams. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    // A session that is gone would give back a stream that fails later.
    const reason = this.lost();
    if (reason !== undefined) throw reason;
    const stream = this.#session.request(headers);
    this.#openStreams += 1;
    stream.once('close', () => {
      this.#openStreams -= 1;
    });
    return stream;
  }

  lost(): Error | undefined {
    if (this.#reason !== undefined) return this.#reason;
    if (this.#session.closed || this.#session.destroyed) {
      return new Error(
        this.#closing ? 'connection was closed by us' : 'daemon is closing the connection',
      );
    }
    return undefined;
  }

  createCall(method: string, deadline: Deadline): GrpcCall {
    const unary = this.#unaryMethods.has(method);
    return new Http2Call(this, { method, deadline, unary });
  }

  getTarget(): string {
    return this.target;
  }

  getConnectivityState(): ConnectivityState {
    return this.lost() === undefined ? ConnectivityState.READY : ConnectivityState.SHUTDOWN;
  }

  watchConnectivityState(
    _state: ConnectivityState,
    _deadline: Deadline,
    callback: (error?: Error) => void,
  ): void {
    process.nextTick(callback, new Error('a channel on one byte stream never becomes ready again'));
  }

  getChannelzRef(): never {
    throw new Error('this channel has no channelz');
  }

  /** What grpc-js calls to close; prefer disposing, which can be waited for. */
  close(): void {
    void this[Symbol.asyncDispose]();
  }

  /** Gives open streams a second to end, if there are any, and ends the byte stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    const cut = (): void => {
      this.#session.destroy();
      this.#duplex.destroy();
    };
    const timer = setTimeout(cut, closeGraceMs);
    // A goodbye that nobody waits for would only cost a round trip.
    if (this.#openStreams === 0) cut();
    else if (!this.#session.closed) this.#session.close();
    await this.closed;
    clearTimeout(timer);
  }

  /** An answer may have come in the same read as the end; it is handed out first. */
  #loseSoon(reason: Error): void {
    setImmediate(() => {
      this.#lose(reason);
    });
  }

  /** The first reason wins: what follows is its echo. */
  #lose(reason: Error): void {
    if (this.#closing) return;
    this.#reason ??= reason;
    if (!this.#session.destroyed) this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
    this.#duplex.destroy();
  }
}
