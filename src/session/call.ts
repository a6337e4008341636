import { constants, type ServerHttp2Stream } from 'node:http2';
import { frameHeader, frameHeaderBytes } from '../shared/grpc-framing.ts';
import type { SessionCall } from './attachable.ts';
import { grpcStatus, SessionError, type GrpcStatus } from './errors.ts';
import { statusTrailers } from './grpc-status.ts';
import { MessageReader } from './message-reader.ts';

/** Bytes written and not yet taken by flow control, above which further messages wait. */
const maxInFlightBytes = 1024 * 1024;

/** Up to this size one copy is cheaper than several writes. */
const maxCopiedBytes = 16 * 1024;

const cancelledByDaemon = 'the BuildKit daemon cancelled the call';

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const;

interface WaitingMessage {
  readonly message: Uint8Array | readonly Uint8Array[];
  /** To be called once it is written, or never will be. */
  readonly resolve: (nothing: undefined) => void;
}

/** One call of the daemon on a stream of the session's HTTP/2 connection. */
export class ServerCall implements SessionCall {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly #stream: ServerHttp2Stream;
  readonly #rawHeaders: readonly string[];
  readonly #reader: MessageReader;
  readonly #abort = new AbortController();
  #inFlightBytes = 0;
  /** Messages that wait for room, oldest first. */
  readonly #waiting: WaitingMessage[] = [];
  #finished = false;

  /** `rawHeaders` is the flat list of names and values of the request. */
  constructor(stream: ServerHttp2Stream, method: string, rawHeaders: readonly string[]) {
    this.method = method;
    this.signal = this.#abort.signal;
    this.#stream = stream;
    this.#rawHeaders = rawHeaders;
    this.#reader = new MessageReader(stream);
    stream.on('close', () => {
      this.#cancelled(cancelledByDaemon);
    });
  }

  header(name: string): readonly string[] {
    const wanted = name.toLowerCase();
    return this.#rawHeaders.filter(
      (_, index) => index % 2 === 1 && this.#rawHeaders[index - 1]?.toLowerCase() === wanted,
    );
  }

  messages(): AsyncIterable<Buffer> {
    return this.#reader.messages(this.signal);
  }

  async send(message: Uint8Array | readonly Uint8Array[]): Promise<void> {
    // Between a reset and its event the stream takes nothing, and that is no failure of ours.
    if (this.#stream.destroyed || this.#stream.closed) this.#cancelled(cancelledByDaemon);
    this.signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#waiting.push({ message, resolve });
    this.#writeWaiting();
    await promise;
    this.signal.throwIfAborted();
  }

  /** Ends the call with this status, after everything that was sent. */
  finish(status: GrpcStatus, message = ''): void {
    if (this.#finished || this.#stream.closed) return;
    this.#finished = true;
    const trailers = statusTrailers(status, message);
    this.#reader.discard();
    if (!this.#stream.headersSent) {
      this.#stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      return;
    }
    this.#stream.once('wantTrailers', () => {
      this.#stream.sendTrailers(trailers);
    });
    this.#stream.end();
  }

  /** Ends the call at once because the session ends. */
  cancel(): void {
    this.#cancelled('the session ended');
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** In turn, and only as much as there is room for. */
  #writeWaiting(): void {
    while (this.#inFlightBytes <= maxInFlightBytes) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#write(next.message);
      next.resolve(undefined);
    }
  }

  #write(message: Uint8Array | readonly Uint8Array[]): void {
    const content = message instanceof Uint8Array ? [message] : message;
    const contentBytes = content.reduce((sum, piece) => sum + piece.length, 0);
    const framed = [frameHeader(contentBytes), ...content];
    const pieces = contentBytes <= maxCopiedBytes ? [Buffer.concat(framed)] : framed;
    const sizeBytes = frameHeaderBytes + contentBytes;
    if (!this.#stream.headersSent) this.#stream.respond(responseHeaders, { waitForTrailers: true });
    this.#inFlightBytes += sizeBytes;
    this.#stream.cork();
    pieces.forEach((piece, index) => {
      if (index < pieces.length - 1) this.#stream.write(piece);
      else {
        this.#stream.write(piece, () => {
          this.#sent(sizeBytes);
        });
      }
    });
    this.#stream.uncork();
  }

  #sent(sizeBytes: number): void {
    this.#inFlightBytes -= sizeBytes;
    if (!this.signal.aborted) this.#writeWaiting();
  }

  #cancelled(reason: string): void {
    if (!this.#finished) {
      this.#finished = true;
      this.#abort.abort(
        new SessionError('SESSION_CALL_CANCELLED', `${this.method}: ${reason}`, {
          status: grpcStatus.cancelled,
        }),
      );
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
  }
}
