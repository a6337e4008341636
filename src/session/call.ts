import { constants, type ServerHttp2Stream } from 'node:http2';
import { frameHeader } from '../shared/grpc-framing.ts';
import type { SessionCall } from './attachable.ts';
import { grpcStatus, SessionError, type GrpcStatus } from './errors.ts';
import { statusTrailers } from './grpc-status.ts';
import { MessageReader } from './message-reader.ts';

/** Bytes written and not yet taken by flow control, above which `send` makes its caller wait. */
const maxInFlightBytes = 1024 * 1024;

/** Up to this size one copy is cheaper than several writes. */
const maxCopiedBytes = 16 * 1024;

const responseHeaders = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** One call of the daemon on a stream of the session's HTTP/2 connection. */
export class ServerCall implements SessionCall {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly #stream: ServerHttp2Stream;
  readonly #rawHeaders: readonly string[];
  readonly #reader: MessageReader;
  readonly #abort = new AbortController();
  #inFlightBytes = 0;
  #wakeSenders: (() => void)[] = [];
  #finished = false;

  /** `rawHeaders` is the flat list of names and values of the request. */
  constructor(stream: ServerHttp2Stream, method: string, rawHeaders: readonly string[]) {
    this.method = method;
    this.signal = this.#abort.signal;
    this.#stream = stream;
    this.#rawHeaders = rawHeaders;
    this.#reader = new MessageReader(stream);
    stream.on('close', () => {
      this.#cancelled('the BuildKit daemon cancelled the call');
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
    this.signal.throwIfAborted();
    const pieces = message instanceof Uint8Array ? [message] : message;
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const framed = [frameHeader(sizeBytes), ...pieces];
    if (!this.#stream.headersSent) this.#stream.respond(responseHeaders, { waitForTrailers: true });
    this.#write(sizeBytes <= maxCopiedBytes ? [Buffer.concat(framed)] : framed);
    while (this.#inFlightBytes > maxInFlightBytes) {
      await new Promise<void>((resolve) => this.#wakeSenders.push(resolve));
      this.signal.throwIfAborted();
    }
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

  #write(pieces: readonly Uint8Array[]): void {
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
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
    if (this.#inFlightBytes <= maxInFlightBytes) this.#wake();
  }

  #wake(): void {
    const waiting = this.#wakeSenders;
    this.#wakeSenders = [];
    for (const wake of waiting) wake();
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
    this.#wake();
  }
}
