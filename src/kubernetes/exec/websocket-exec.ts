import { batches, type ExecCodec, type ExecEvent, maxFrameBytes } from './exec-codec.ts';
import { parseExecStatus, StatusText } from './exec-status.ts';
import {
  frameHeader,
  opcode,
  type WebSocketFrame,
  WebSocketFrameReader,
} from './websocket-frames.ts';

/** First byte of every message. */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, close: 255 } as const;

/**
 * `v5.channel.k8s.io` or `v4.channel.k8s.io` over WebSocket: the first byte of a message is its
 * channel.
 *
 * A message is always one frame: the API server takes each frame for a message, so that the second
 * fragment of one would lose its first byte or all of them. Version 4 cannot close stdin.
 */
export class WebSocketExec implements ExecCodec {
  readonly protocol: 'websocket-v5' | 'websocket-v4';
  readonly #reader = new WebSocketFrameReader();
  readonly #status = new StatusText();
  /** Of the message being read, once its first byte is there. */
  #channel: number | undefined;

  constructor(protocol: 'websocket-v5' | 'websocket-v4') {
    this.protocol = protocol;
  }

  opening(): readonly Uint8Array[] {
    return [];
  }

  receive(chunk: Buffer): ExecEvent[] {
    return this.#reader.read(chunk).flatMap((frame) => this.#take(frame));
  }

  stdin(chunks: readonly Buffer[]): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const { sizeBytes, parts } of batches(chunks, maxFrameBytes - 1)) {
      frames.push(messageHeader(channel.stdin, sizeBytes), ...parts);
    }
    return frames;
  }

  endStdin(): readonly Uint8Array[] {
    if (this.protocol === 'websocket-v4') return [];
    return [messageHeader(channel.close, 1), Buffer.of(channel.stdin)];
  }

  ping(): Uint8Array {
    return frameHeader(opcode.ping, 0);
  }

  #take(frame: WebSocketFrame): ExecEvent[] {
    switch (frame.kind) {
      case 'message':
        return this.#takeMessage(frame);
      case 'ping':
        return [{ kind: 'reply', bytes: controlFrame(opcode.pong, frame.data) }];
      case 'pong':
        return [];
      case 'close':
        return [
          { kind: 'reply', bytes: controlFrame(opcode.close, closePayload(frame.code)) },
          { kind: 'ended', detail: closeDetail(frame.code, frame.reason) },
        ];
    }
  }

  #takeMessage({ data: piece, first, last }: WebSocketFrame & { kind: 'message' }): ExecEvent[] {
    if (first) this.#channel = undefined;
    const data = this.#channel === undefined ? piece.subarray(1) : piece;
    this.#channel ??= piece[0];
    switch (this.#channel) {
      case channel.stdout:
        return data.length === 0 ? [] : [{ kind: 'stdout', data }];
      case channel.stderr:
        return data.length === 0 ? [] : [{ kind: 'stderr', data }];
      case channel.error:
        this.#status.append(data);
        return last ? this.#takeStatus() : [];
      case undefined:
      default:
        return [];
    }
  }

  #takeStatus(): ExecEvent[] {
    const message = this.#status.text;
    this.#status.clear();
    if (message === '') return [];
    const status = parseExecStatus(message) ?? { kind: 'failed', reason: 'Unknown', message };
    return [{ kind: 'status', status }];
  }
}

/** Frame header and channel byte of a message that carries `sizeBytes` more. */
function messageHeader(channelByte: number, sizeBytes: number): Buffer {
  return Buffer.concat([frameHeader(opcode.binary, sizeBytes + 1), Buffer.of(channelByte)]);
}

function controlFrame(code: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(code, payload.length), payload]);
}

function closePayload(code: number | undefined): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code, 0);
  return payload;
}

function closeDetail(code: number | undefined, reason: string): string {
  const detail = `the server closed the WebSocket with code ${code ?? 'none'}`;
  return reason === '' ? detail : `${detail} (${reason})`;
}
