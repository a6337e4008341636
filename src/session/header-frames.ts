const prefaceBytes = 24;
const frameHeaderBytes = 9;

const headersType = 0x1;
const continuationType = 0x9;
const endHeadersFlag = 0x4;
const paddedFlag = 0x8;

/**
 * Makes one HTTP/2 frame of each header block that a client sent in several.
 *
 * A call of file sync has a header field per pattern. Go cuts that block at 16 KiB, and the HTTP/2
 * of Node ends the connection at the ninth CONTINUATION frame, which is some 5000 patterns; frames
 * it takes at any size that was announced. Everything else passes as it came, uncopied.
 */
export class HeaderFrameJoiner {
  /** Bytes of the preface or of a frame that still pass unseen. */
  #passBytes = prefaceBytes;
  /** A frame header, or a whole frame that is to be joined, as far as it came. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** How much must be held before it can be looked at. */
  #wantedBytes = frameHeaderBytes;
  /** The frames of the open block, each with its header. */
  #block: Buffer[] = [];

  /** Takes the next bytes of the connection and returns what can go on. */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#passBytes > 0) {
        const passing = rest.subarray(0, this.#passBytes);
        this.#passBytes -= passing.length;
        out.push(passing);
        rest = rest.subarray(passing.length);
        continue;
      }
      const piece = rest.subarray(0, this.#wantedBytes - this.#heldBytes);
      this.#held.push(piece);
      this.#heldBytes += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#heldBytes === this.#wantedBytes) this.#look(out);
    }
    return out;
  }

  #look(out: Buffer[]): void {
    const [only] = this.#held;
    const frame = this.#held.length === 1 && only ? only : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    const payloadBytes = frame.readUIntBE(0, 3);
    if (!this.#belongsToBlock(frame)) {
      out.push(frame);
      this.#passBytes = payloadBytes;
      return;
    }
    if (frame.length < frameHeaderBytes + payloadBytes) {
      this.#held = [frame];
      this.#heldBytes = frame.length;
      this.#wantedBytes = frameHeaderBytes + payloadBytes;
      return;
    }
    this.#wantedBytes = frameHeaderBytes;
    this.#block.push(frame);
    if ((frame.readUInt8(4) & endHeadersFlag) === 0) return;
    out.push(joined(this.#block));
    this.#block = [];
  }

  #belongsToBlock(frame: Buffer): boolean {
    const type = frame.readUInt8(3);
    if (this.#block.length > 0) return type === continuationType;
    // Padding would end up inside the block; Go's clients send none.
    return type === headersType && (frame.readUInt8(4) & (endHeadersFlag | paddedFlag)) === 0;
  }
}

function joined(frames: readonly Buffer[]): Buffer {
  const payloads = frames.map((frame) => frame.subarray(frameHeaderBytes));
  const header = Buffer.alloc(frameHeaderBytes);
  frames[0]?.copy(header, 0, 0, frameHeaderBytes);
  header.writeUIntBE(
    payloads.reduce((sum, payload) => sum + payload.length, 0),
    0,
    3,
  );
  header.writeUInt8(header.readUInt8(4) | endHeadersFlag, 4);
  return Buffer.concat([header, ...payloads]);
}
