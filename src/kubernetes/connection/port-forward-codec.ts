import { batches, maxFrameBytes } from '../exec/exec-codec.ts';
import { SpdyFrameReader, SpdyFrameWriter } from '../exec/spdy-frames.ts';
import { frameHeader, opcode, WebSocketFrameReader } from '../exec/websocket-frames.ts';

/** What arrived from the far side of a forwarded port. */
export type PortForwardEvent =
  | { readonly kind: 'data'; readonly data: Buffer }
  /** A piece of what the node says went wrong. */
  | { readonly kind: 'complaint'; readonly data: Buffer }
  /** Bytes to send back as they are. */
  | { readonly kind: 'reply'; readonly bytes: Uint8Array }
  /** The far side takes and sends no more. */
  | { readonly kind: 'ended'; readonly detail: string };

/**
 * Framing of one forwarded port, without a socket: bytes in, events and frames out.
 *
 * Frames are lists of buffers to be written in order; payloads are not copied.
 */
export interface PortForwardCodec {
  /** What to send first. */
  opening(): readonly Uint8Array[];
  /** Takes bytes as the socket gives them; throws `FramingError` when they make no sense. */
  receive(chunk: Buffer): PortForwardEvent[];
  send(chunks: readonly Buffer[]): Uint8Array[];
  ping(): Uint8Array;
}

/** First byte of every message: one port has two channels. */
const channel = { data: 0, error: 1 } as const;

/** Each channel begins with its port, in two bytes, cut anywhere. */
const portBytes = 2;

/**
 * `v4.channel.k8s.io` over WebSocket: the first byte of a message is its channel.
 *
 * A message is always one frame, as for exec. There is no half-close.
 */
export class WebSocketPortForward implements PortForwardCodec {
  readonly #reader = new WebSocketFrameReader();
  /** Bytes of the port still to come on each channel. */
  readonly #toSkip = new Map<number, number>(
    Object.values(channel).map((each) => [each, portBytes]),
  );
  /** Of the message being read, once its first byte is there. */
  #channel: number | undefined;

  opening(): readonly Uint8Array[] {
    return [];
  }

  receive(chunk: Buffer): PortForwardEvent[] {
    return this.#reader.read(chunk).flatMap((frame): PortForwardEvent[] => {
      switch (frame.kind) {
        case 'message':
          return this.#takeMessage(frame.data, frame.first);
        case 'ping': {
          const bytes = Buffer.concat([frameHeader(opcode.pong, frame.data.length), frame.data]);
          return [{ kind: 'reply', bytes }];
        }
        case 'pong':
          return [];
        case 'close': {
          const said = frame.reason === '' ? '' : ` (${frame.reason})`;
          const code = String(frame.code ?? 'none');
          return [
            { kind: 'reply', bytes: frameHeader(opcode.close, 0) },
            { kind: 'ended', detail: `the WebSocket was closed with code ${code}${said}` },
          ];
        }
      }
    });
  }

  send(chunks: readonly Buffer[]): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const { sizeBytes, parts } of batches(chunks, maxFrameBytes - 1)) {
      const header = frameHeader(opcode.binary, sizeBytes + 1);
      frames.push(Buffer.concat([header, Buffer.of(channel.data)]), ...parts);
    }
    return frames;
  }

  ping(): Uint8Array {
    return frameHeader(opcode.ping, 0);
  }

  #takeMessage(piece: Buffer, first: boolean): PortForwardEvent[] {
    if (first) this.#channel = undefined;
    let data = piece;
    if (this.#channel === undefined) {
      this.#channel = piece[0];
      data = piece.subarray(1);
    }
    if (this.#channel === undefined) return [];
    const toSkip = this.#toSkip.get(this.#channel) ?? data.length;
    const skipped = Math.min(toSkip, data.length);
    if (this.#toSkip.has(this.#channel)) this.#toSkip.set(this.#channel, toSkip - skipped);
    data = data.subarray(skipped);
    if (data.length === 0) return [];
    return [{ kind: this.#channel === channel.data ? 'data' : 'complaint', data }];
  }
}

const stream = { error: 1, data: 3 } as const;

/** `portforward.k8s.io` over SPDY/3.1: an error and a data stream, in the order of kubectl. */
export class SpdyPortForward implements PortForwardCodec {
  readonly #port: number;
  readonly #writer = new SpdyFrameWriter();
  readonly #reader = new SpdyFrameReader();
  /** Odd: even ones are the server's. */
  #pingId = 1;

  constructor(port: number) {
    this.#port = port;
  }

  opening(): readonly Uint8Array[] {
    const more = { port: String(this.#port), requestid: '0' };
    return [
      this.#writer.synStream(stream.error, { streamtype: 'error', ...more }),
      // We have nothing to say on it.
      this.#writer.dataHeader(stream.error, 0, true),
      this.#writer.synStream(stream.data, { streamtype: 'data', ...more }),
    ];
  }

  receive(chunk: Buffer): PortForwardEvent[] {
    return this.#reader.read(chunk).flatMap((frame): PortForwardEvent[] => {
      switch (frame.kind) {
        case 'data':
          return this.#takeData(frame);
        case 'reset':
          return [{ kind: 'ended', detail: `stream reset with code ${frame.statusCode}` }];
        case 'ping':
          return frame.id % 2 === 0 ? [{ kind: 'reply', bytes: this.#writer.ping(frame.id) }] : [];
        case 'reply':
        case 'goaway':
          return [];
      }
    });
  }

  send(chunks: readonly Buffer[]): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const { sizeBytes, parts } of batches(chunks)) {
      frames.push(this.#writer.dataHeader(stream.data, sizeBytes), ...parts);
    }
    return frames;
  }

  ping(): Uint8Array {
    const id = this.#pingId;
    this.#pingId = (this.#pingId + 2) & 0x7fffffff;
    return this.#writer.ping(id);
  }

  #takeData({
    streamId,
    data,
    fin,
  }: {
    readonly streamId: number;
    readonly data: Buffer;
    readonly fin: boolean;
  }): PortForwardEvent[] {
    const kind = streamId === stream.data ? 'data' : 'complaint';
    return [
      ...(data.length === 0 ? [] : [{ kind, data } as const]),
      ...(fin && kind === 'data'
        ? [{ kind: 'ended', detail: 'the port was closed at its far end' } as const]
        : []),
    ];
  }
}
