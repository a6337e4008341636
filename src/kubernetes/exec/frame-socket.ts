/** What all streams of frames do with their socket. */
import type { Socket } from 'node:net';

/** Intervals without any byte before a peer counts as dead. */
const idlePatience = 2;

/** The same while it does not take our bytes, for a busy reader cannot answer past them. */
const blockedPatience = 6;

/** How many intervals of a heartbeat without a sign of life to bear. */
export function patienceWith(socket: Socket): number {
  // While our own reader is slow the peer's answers wait in the socket.
  if (socket.isPaused()) return Infinity;
  return socket.writableLength > 0 ? blockedPatience : idlePatience;
}

/** Writes one frame or more at once. */
export function writeFrames(socket: Socket, frames: readonly Uint8Array[]): void {
  socket.cork();
  for (const bytes of frames) socket.write(bytes);
  socket.uncork();
}
