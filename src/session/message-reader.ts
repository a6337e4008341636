import type { ServerHttp2Stream } from 'node:http2';
import { GrpcFrameParser } from '../shared/grpc-framing.ts';

/**
 * Reads the gRPC messages of a stream on demand.
 *
 * Between two reads at most one chunk is held and the stream is paused, so that HTTP/2 flow control
 * reaches the sender. Unlike the iterator of a stream it never joins chunks, which would copy them,
 * and leaving the loop does not destroy the stream.
 */
export class MessageReader {
  readonly #stream: ServerHttp2Stream;
  readonly #parser = new GrpcFrameParser();
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.pause();
    stream.on('data', this.#onData);
    stream.on('end', () => {
      // A reset ends the stream as well, but what has come then is not all.
      this.#ended = !stream.aborted;
      this.#wake?.();
    });
    stream.on('close', () => {
      this.#wake?.();
    });
  }

  /** Messages until the sender's end; throws the reason of `signal` when that fires before. */
  async *messages(signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const message = this.#parser.next();
      if (message !== undefined) {
        yield message;
      } else if (this.#ended) {
        this.#parser.finish();
        return;
      } else {
        signal.throwIfAborted();
        await this.#more();
      }
    }
  }

  /** Lets the rest of the stream pass unread. */
  discard(): void {
    this.#stream.off('data', this.#onData);
    this.#stream.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#parser.push(chunk);
    this.#stream.pause();
    this.#wake?.();
  };

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.resume();
    });
    this.#wake = undefined;
  }
}
