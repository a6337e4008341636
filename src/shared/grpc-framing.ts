import { CodedError } from './errors.ts';

export type GrpcFramingErrorCode =
  'GRPC_MESSAGE_COMPRESSED' | 'GRPC_MESSAGE_TOO_LARGE' | 'GRPC_MESSAGE_TRUNCATED';

/** Bytes on a gRPC stream that are no sequence of messages we accept. */
export class GrpcFramingError extends CodedError<GrpcFramingErrorCode> {
  override readonly name = 'GrpcFramingError';
}

/** The largest message that BuildKit sends or accepts in either direction. */
export const maxGrpcMessageBytes = 16 * 1024 * 1024;

/** Length of what stands before each message: a flag and a 32-bit big-endian length. */
export const frameHeaderBytes = 5;

const used = Buffer.alloc(0);

/** The header of one uncompressed message of `sizeBytes` bytes. */
export function frameHeader(sizeBytes: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt8(0, 0);
  header.writeUInt32BE(sizeBytes, 1);
  return header;
}

/**
 * Cuts the bytes of a gRPC stream, in chunks of any size, into messages.
 *
 * A message inside one chunk is a view of that chunk; only one that spans chunks is copied, once.
 */
export class GrpcFrameParser {
  readonly #maxMessageBytes: number;
  #chunks: Buffer[] = [];
  /** Chunks before this index are used up; a plain `shift()` is linear on long queues. */
  #first = 0;
  #bufferedBytes = 0;
  /** Length of the message whose header was read; -1 while the header is awaited. */
  #messageBytes = -1;

  /** `maxMessageBytes` defaults to the limit of BuildKit, 16 MiB. */
  constructor(maxMessageBytes: number = maxGrpcMessageBytes) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Adds received bytes; the parser keeps the chunk, so it must not be reused. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
  }

  /**
   * The next complete message, or undefined until more bytes come.
   *
   * Throws `GrpcFramingError` for a compressed message and for one above the limit, the latter
   * as soon as its header is known, so that its bytes are never gathered.
   */
  next(): Buffer | undefined {
    if (this.#messageBytes < 0) {
      if (this.#bufferedBytes < frameHeaderBytes) return undefined;
      this.#messageBytes = this.#readHeader(this.#take(frameHeaderBytes));
    }
    if (this.#bufferedBytes < this.#messageBytes) return undefined;
    const message = this.#take(this.#messageBytes);
    this.#messageBytes = -1;
    return message;
  }

  /** Call at the end of the stream; throws `GrpcFramingError` when it ended inside a message. */
  finish(): void {
    if (this.#bufferedBytes === 0 && this.#messageBytes < 0) return;
    const missing =
      this.#messageBytes < 0
        ? `${this.#bufferedBytes} of ${frameHeaderBytes} bytes of a header`
        : `${this.#bufferedBytes} of ${this.#messageBytes} bytes of a message`;
    throw new GrpcFramingError('GRPC_MESSAGE_TRUNCATED', `gRPC stream ended after ${missing}`);
  }

  #readHeader(header: Buffer): number {
    const flag = header.readUInt8(0);
    if (flag !== 0) {
      throw new GrpcFramingError(
        'GRPC_MESSAGE_COMPRESSED',
        `gRPC message has compression flag ${flag}, but no compression was agreed on`,
      );
    }
    const sizeBytes = header.readUInt32BE(1);
    if (sizeBytes > this.#maxMessageBytes) {
      throw new GrpcFramingError(
        'GRPC_MESSAGE_TOO_LARGE',
        `gRPC message of ${sizeBytes} bytes exceeds the limit of ${this.#maxMessageBytes} bytes`,
      );
    }
    return sizeBytes;
  }

  /** Removes `sizeBytes` bytes, which must have been received, from the front of the queue. */
  #take(sizeBytes: number): Buffer {
    this.#bufferedBytes -= sizeBytes;
    const head = this.#chunks[this.#first];
    if (head !== undefined && head.length > sizeBytes) {
      this.#chunks[this.#first] = head.subarray(sizeBytes);
      return head.subarray(0, sizeBytes);
    }
    const pieces: Buffer[] = [];
    let missing = sizeBytes;
    while (missing > 0) {
      const chunk = this.#chunks[this.#first];
      if (chunk === undefined) throw new RangeError('took more bytes than were received');
      const piece = chunk.length > missing ? chunk.subarray(0, missing) : chunk;
      pieces.push(piece);
      missing -= piece.length;
      // A used chunk is let go of at once: the queue may never run empty.
      this.#chunks[this.#first] = piece === chunk ? used : chunk.subarray(piece.length);
      if (piece === chunk) this.#first += 1;
    }
    this.#dropUsedChunks();
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, sizeBytes);
  }

  #dropUsedChunks(): void {
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#first = 0;
    } else if (this.#first >= 1024) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}
