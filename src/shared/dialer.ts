import type { Duplex } from 'node:stream';

/**
 * A byte stream that may know how much it has sent, framing of its transport included, and how much
 * has come from the far end itself, rather than from what is on the way there.
 */
export type CountedDuplex = Duplex & {
  readonly bytesWritten?: number;
  readonly bytesRead?: number;
};

/**
 * Opens one byte stream to a BuildKit daemon.
 *
 * Resolves only after the handshake with the far side, so that a refusal is a rejection here and
 * never a later read error. The stream half-closes on `end()` and is torn down by `destroy()`.
 */
export type Dialer = (signal: AbortSignal) => Promise<CountedDuplex>;
