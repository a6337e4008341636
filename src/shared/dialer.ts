import type { Duplex } from 'node:stream';

/**
 * Opens one byte stream to a BuildKit daemon.
 *
 * Resolves only after the handshake with the far side, so that a refusal is a rejection here and
 * never a later read error. The stream half-closes on `end()` and is torn down by `destroy()`.
 */
export type Dialer = (signal: AbortSignal) => Promise<Duplex>;
