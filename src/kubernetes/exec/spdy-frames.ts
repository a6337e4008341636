import { FramingError } from './exec-codec.ts';

/** A frame, or a piece of a data frame, from the far side. */
export type SpdyFrame =
  | {
      readonly kind: 'data';
      readonly streamId: number;
      readonly data: Buffer;
      /** Whether the frame ends with this piece. */
      readonly whole: boolean;
      /** Whether the stream's sender has finished with this piece. */
      readonly fin: boolean;
    }
  | { readonly kind: 'reply'; readonly streamId: number; readonly fin: boolean }
  | { readonly kind: 'reset'; readonly streamId: number; readonly statusCode: number }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'goaway'; readonly statusCode: number };

const controlVersion = 0x8003;
const controlType = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const;
const flagFin = 0x01;
const headerBytes = 8;

/**
 * First bytes of a connection's header blocks: a zlib header that asks for SPDY/3's dictionary.
 *
 * Our blocks are stored, not compressed, so that they never refer to the dictionary itself.
 */
const zlibHeader = Buffer.from('78bbe3c6a7c2', 'hex');

/** An empty stored block: decoders hold text back until they see one, as after a zlib sync flush. */
const syncFlush = Buffer.from('000000ffff', 'hex');

/**
 * Writes SPDY/3.1 frames of one connection.
 *
 * Follows the SPDY/3.1 draft, sections 2.6.1 (SYN_STREAM), 2.6.5 (PING) and 2.6.10 (header block).
 */
export class SpdyFrameWriter {
  #firstBlock = true;

  /** Opens a stream; at most 64 KiB of headers. */
  synStream(streamId: number, headers: Readonly<Record<string, string>>): Buffer {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt32BE(streamId, 0);
    const block = this.#headerBlock(headers);
    return Buffer.concat([
      controlHeader(controlType.synStream, fixed.length + block.length),
      fixed,
      block,
    ]);
  }

  ping(id: number): Buffer {
    const body = Buffer.alloc(4);
    body.writeUInt32BE(id, 0);
    return Buffer.concat([controlHeader(controlType.ping, body.length), body]);
  }

  /** Goes in front of `sizeBytes` of payload; `fin` half-closes the stream after it. */
  dataHeader(streamId: number, sizeBytes: number, fin = false): Buffer {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32BE(streamId, 0);
    header.writeUInt32BE(sizeBytes, 4);
    header.writeUInt8(fin ? flagFin : 0, 4);
    return header;
  }

  #headerBlock(headers: Readonly<Record<string, string>>): Buffer {
    const pairs = Object.entries(headers);
    const plain = Buffer.concat([
      uint32(pairs.length),
      ...pairs.flatMap((pair) => pair).flatMap((text) => [uint32(text.length), Buffer.from(text)]),
    ]);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(~plain.length & 0xffff, 3);
    const start = this.#firstBlock ? zlibHeader : Buffer.alloc(0);
    this.#firstBlock = false;
    return Buffer.concat([start, stored, plain, syncFlush]);
  }
}

/**
 * Reads SPDY/3.1 frames from bytes cut anywhere.
 *
 * Payload is handed on as slices of what came in. Of control frames only the first 8 bytes count
 * (stream and code), so header blocks are skipped without being decompressed, and so are frames
 * that need no answer (SETTINGS, WINDOW_UPDATE, HEADERS).
 */
export class SpdyFrameReader {
  readonly #header = Buffer.alloc(headerBytes);
  readonly #control = Buffer.alloc(8);
  #headerFill = 0;
  #controlFill = 0;
  /** Bytes of the current frame still to come. */
  #remaining = 0;

  /** Throws `FramingError` for a control frame of another version. */
  read(chunk: Buffer): SpdyFrame[] {
    const frames: SpdyFrame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#headerFill < headerBytes) {
        rest = this.#readHeader(rest);
        if (this.#headerFill < headerBytes || this.#remaining > 0) continue;
      }
      const piece = rest.subarray(0, this.#remaining);
      rest = rest.subarray(piece.length);
      this.#remaining -= piece.length;
      const frame = this.#isControl() ? this.#readControl(piece) : this.#dataPiece(piece);
      if (frame !== undefined) frames.push(frame);
      if (this.#remaining === 0) this.#headerFill = 0;
    }
    return frames;
  }

  #readHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#header, this.#headerFill);
    this.#headerFill += taken;
    if (this.#headerFill < headerBytes) return chunk.subarray(taken);
    if (this.#isControl() && this.#header.readUInt16BE(0) !== controlVersion) {
      throw new FramingError(`not a SPDY/3.1 frame: ${this.#header.toString('hex')}`);
    }
    this.#remaining = this.#header.readUIntBE(5, 3);
    this.#controlFill = 0;
    return chunk.subarray(taken);
  }

  #isControl(): boolean {
    return (this.#header.readUInt8(0) & 0x80) !== 0;
  }

  #flagFin(): boolean {
    return (this.#header.readUInt8(4) & flagFin) !== 0;
  }

  #dataPiece(data: Buffer): SpdyFrame {
    const whole = this.#remaining === 0;
    return {
      kind: 'data',
      streamId: this.#header.readUInt32BE(0),
      data,
      whole,
      fin: whole && this.#flagFin(),
    };
  }

  #readControl(piece: Buffer): SpdyFrame | undefined {
    this.#controlFill += piece.copy(this.#control, this.#controlFill);
    if (this.#remaining > 0) return undefined;
    this.#control.fill(0, this.#controlFill);
    const first = this.#control.readUInt32BE(0) & 0x7fffffff;
    const second = this.#control.readUInt32BE(4);
    switch (this.#header.readUInt16BE(2)) {
      case controlType.synReply:
        return { kind: 'reply', streamId: first, fin: this.#flagFin() };
      case controlType.rstStream:
        return { kind: 'reset', streamId: first, statusCode: second };
      case controlType.ping:
        return { kind: 'ping', id: this.#control.readUInt32BE(0) };
      case controlType.goAway:
        return { kind: 'goaway', statusCode: second };
      default:
        return undefined;
    }
  }
}

function controlHeader(type: number, sizeBytes: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(controlVersion, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt32BE(sizeBytes, 4);
  return header;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
