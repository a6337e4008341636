import { FramingError } from './exec-codec.ts';

/** A piece of a message, or a control frame, from the far side. */
export type WebSocketFrame =
  | {
      readonly kind: 'message';
      readonly data: Buffer;
      /** Whether the message starts, and whether it ends, with this piece. */
      readonly first: boolean;
      readonly last: boolean;
    }
  | { readonly kind: 'ping' | 'pong'; readonly data: Buffer }
  | { readonly kind: 'close'; readonly code: number | undefined; readonly reason: string };

/** Operation codes that clients send (RFC 6455, 5.2). */
export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/**
 * Header of a whole, masked client frame of `sizeBytes`.
 *
 * The mask is zero, so that the payload goes out as it is: the mask only has to keep scripts in
 * browsers from choosing the bytes on the wire, and it costs a third of the processor time.
 */
export function frameHeader(code: number, sizeBytes: number): Buffer {
  const lengthBytes = sizeBytes < 126 ? 0 : sizeBytes < 0x10000 ? 2 : 8;
  const header = Buffer.alloc(2 + lengthBytes + 4);
  header.writeUInt8(0x80 | code, 0);
  header.writeUInt8(0x80 | (lengthBytes === 0 ? sizeBytes : lengthBytes === 2 ? 126 : 127), 1);
  if (lengthBytes === 2) header.writeUInt16BE(sizeBytes, 2);
  if (lengthBytes === 8) header.writeUIntBE(sizeBytes, 4, 6);
  return header;
}

/**
 * Reads server frames (RFC 6455, 5.2) from bytes cut anywhere.
 *
 * Payload is handed on as slices of what came in, so that a message has no size limit here.
 */
export class WebSocketFrameReader {
  readonly #header = Buffer.alloc(10);
  #headerFill = 0;
  #headerSize = 2;
  #remaining = 0;
  /** Whether a message has begun that has not ended. */
  #inMessage = false;
  /** Whether the current frame's first piece also starts a message. */
  #first = false;
  #control: Buffer[] = [];

  /** Throws `FramingError` for masked, extended or badly ordered frames. */
  read(chunk: Buffer): WebSocketFrame[] {
    const frames: WebSocketFrame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#headerFill < this.#headerSize) {
        rest = this.#readHeader(rest);
        if (this.#headerFill < this.#headerSize || this.#remaining > 0) continue;
      }
      const piece = rest.subarray(0, this.#remaining);
      rest = rest.subarray(piece.length);
      this.#remaining -= piece.length;
      const frame = this.#isControl() ? this.#readControl(piece) : this.#piece(piece);
      if (frame !== undefined) frames.push(frame);
      if (this.#remaining === 0) this.#nextFrame();
    }
    return frames;
  }

  #readHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(
      this.#header,
      this.#headerFill,
      0,
      this.#headerSize - this.#headerFill,
    );
    this.#headerFill += taken;
    const rest = chunk.subarray(taken);
    if (this.#headerFill < this.#headerSize) return rest;
    const length = this.#header.readUInt8(1);
    if (this.#headerSize === 2) {
      this.#checkHeader();
      this.#headerSize = length === 126 ? 4 : length === 127 ? 10 : 2;
      if (this.#headerFill < this.#headerSize) return rest;
    }
    this.#remaining =
      length < 126 ? length : length === 126 ? this.#header.readUInt16BE(2) : this.#longLength();
    return rest;
  }

  #checkHeader(): void {
    const fault = this.#headerFault();
    if (fault !== undefined) {
      const bytes = this.#header.toString('hex', 0, 2);
      throw new FramingError(`WebSocket frame ${bytes} with ${fault}`);
    }
    if (this.#isControl()) return;
    this.#first = !this.#inMessage;
    this.#inMessage = true;
  }

  #headerFault(): string | undefined {
    const code = this.#opcode();
    if ((this.#header.readUInt8(0) & 0x70) !== 0) return 'an extension that was not agreed';
    if ((this.#header.readUInt8(1) & 0x80) !== 0) return 'a mask, which servers must not send';
    if (!Object.values<number>(opcode).includes(code)) return `unknown opcode ${code}`;
    if (this.#isControl()) {
      const whole = this.#fin() && this.#header.readUInt8(1) <= 125;
      return whole ? undefined : 'a control message that is long or fragmented';
    }
    if ((code === opcode.continuation) === this.#inMessage) return undefined;
    return this.#inMessage ? 'a message inside another one' : 'the rest of no message';
  }

  #longLength(): number {
    const length = this.#header.readBigUInt64BE(2);
    if (length > Number.MAX_SAFE_INTEGER) {
      throw new FramingError(`WebSocket frame of ${length.toString()} bytes`);
    }
    return Number(length);
  }

  #piece(data: Buffer): WebSocketFrame {
    const last = this.#remaining === 0 && this.#fin();
    const first = this.#first;
    this.#first = false;
    if (last) this.#inMessage = false;
    return { kind: 'message', data, first, last };
  }

  #readControl(piece: Buffer): WebSocketFrame | undefined {
    this.#control.push(piece);
    if (this.#remaining > 0) return undefined;
    const data = Buffer.concat(this.#control);
    this.#control = [];
    if (this.#opcode() === opcode.ping) return { kind: 'ping', data };
    if (this.#opcode() === opcode.pong) return { kind: 'pong', data };
    const code = data.length >= 2 ? data.readUInt16BE(0) : undefined;
    return { kind: 'close', code, reason: data.toString('utf8', 2) };
  }

  #opcode(): number {
    return this.#header.readUInt8(0) & 0x0f;
  }

  #isControl(): boolean {
    return this.#opcode() >= opcode.close;
  }

  #fin(): boolean {
    return (this.#header.readUInt8(0) & 0x80) !== 0;
  }

  #nextFrame(): void {
    this.#headerFill = 0;
    this.#headerSize = 2;
  }
}
