import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import type { CountedDuplex } from '../../shared/dialer.ts';
import { messageOf } from '../../shared/errors.ts';
import type { TlsClient } from '../../shared/tls-stream.ts';
import { daemonPort, tlsOver } from './tls-over.ts';
import { WayFailure } from './way-failure.ts';

export interface DirectOptions {
  /** Of the pod. */
  readonly address: string;
  readonly tls: TlsClient;
  /** Default 1234. */
  readonly port?: number;
  /** Called when something has answered at the address, whatever comes of it. */
  readonly onReached?: () => void;
}

const reachHint =
  'This runner must be able to open connections to the addresses of pods; if it cannot, use connection: auto.';

/**
 * Opens a connection to the daemon at the address of its pod, with mutual TLS.
 *
 * Resolves once the daemon has greeted. Throws `WayFailure`, or the signal's reason.
 */
export async function openDirect(
  options: DirectOptions,
  signal: AbortSignal,
): Promise<CountedDuplex> {
  const { address, tls, port = daemonPort, onReached } = options;
  const whom = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const socket = connect({ host: address, port, noDelay: true, keepAlive: true });
  try {
    await reached(socket, { whom, signal });
    onReached?.();
    return await tlsOver(socket, { tls, whom }, signal);
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    signal.throwIfAborted();
    if (error instanceof WayFailure) {
      if (error.kind === 'not-listening') onReached?.();
      throw error;
    }
    throw new WayFailure('passing', `${whom} closed the connection: ${messageOf(error)}`, {
      hint: reachHint,
      cause: error,
    });
  }
}

async function reached(
  socket: Socket,
  { whom, signal }: { readonly whom: string; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await once(socket, 'connect', { signal });
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error as { readonly code?: string };
    if (code === 'ECONNREFUSED') {
      throw new WayFailure('not-listening', `nothing listens at ${whom}`, { cause: error });
    }
    throw new WayFailure('passing', `${whom} cannot be reached: ${messageOf(error)}`, {
      hint: reachHint,
      cause: error,
    });
  }
}
