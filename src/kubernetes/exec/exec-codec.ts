import type { ExecStatus } from './exec-status.ts';

/** Which framing carries the streams of one exec. */
export type ExecProtocol = 'spdy' | 'websocket-v5' | 'websocket-v4';

/** What arrived from the far side of an exec. */
export type ExecEvent =
  /** The far side has taken all streams of the exec. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'stdout' | 'stderr'; readonly data: Buffer }
  | { readonly kind: 'status'; readonly status: ExecStatus }
  /** Bytes to send back as they are. */
  | { readonly kind: 'reply'; readonly bytes: Uint8Array }
  /** The far side takes and sends no more. */
  | { readonly kind: 'ended'; readonly detail: string };

/**
 * Framing of one exec, without a socket: bytes in, events and frames out.
 *
 * Frames are lists of buffers to be written in order and in one go; payloads are not copied.
 */
export interface ExecCodec {
  readonly protocol: ExecProtocol;
  /** What to send first; the far side answers it with `opened` unless it is empty. */
  opening(): readonly Uint8Array[];
  /** Takes bytes as the socket gives them; throws `FramingError` when they make no sense. */
  receive(chunk: Buffer): ExecEvent[];
  stdin(chunks: readonly Buffer[]): Uint8Array[];
  /** Half-closes stdin; empty where the protocol has no way to say so. */
  endStdin(): readonly Uint8Array[];
  ping(): Uint8Array;
}

/** The far side sent what its protocol does not allow; the connection is of no more use. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

/** Most stdin bytes in one frame; larger ones were not faster, and need more memory. */
export const maxFrameBytes = 256 * 1024;

/** Payload of one frame. */
export interface Batch {
  readonly sizeBytes: number;
  readonly parts: readonly Buffer[];
}

/** Gathers small chunks and cuts large ones, in order and without copies, into full batches. */
export function* batches(chunks: Iterable<Buffer>, limitBytes = maxFrameBytes): Generator<Batch> {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for (const chunk of chunks) {
    let rest = chunk;
    while (sizeBytes + rest.length >= limitBytes) {
      const room = limitBytes - sizeBytes;
      yield { sizeBytes: limitBytes, parts: [...parts, rest.subarray(0, room)] };
      rest = rest.subarray(room);
      parts = [];
      sizeBytes = 0;
    }
    if (rest.length === 0) continue;
    parts.push(rest);
    sizeBytes += rest.length;
  }
  if (sizeBytes > 0) yield { sizeBytes, parts };
}
