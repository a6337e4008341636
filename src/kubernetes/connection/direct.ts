import { once } from 'node:events';
import { connect } from 'node:net';

import type { CountedDuplex } from '../../shared/dialer.ts';
import { messageOf } from '../../shared/errors.ts';
import type { TlsClient } from '../../shared/tls-stream.ts';
import { tlsPort } from '../manifests/daemon-flags.ts';
import { tlsOver } from './tls-over.ts';
import { WayFailure } from './way-failure.ts';

export interface DirectOptions {
  /** Of the pod. */
  readonly address: string;
  /** May still be on its way. */
  readonly tls: TlsClient | Promise<TlsClient>;
  /** Default 1234. */
  readonly port?: number;
  /** For the address to answer; default 5000. */
  readonly timeoutMs?: number;
  /** Called when something has answered at the address, whatever comes of it. */
  readonly onReached?: (() => void) | undefined;
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
  const { address, tls, port = tlsPort, timeoutMs = 5000, onReached } = options;
  const whom = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const socket = connect({ host: address, port, noDelay: true, keepAlive: true });
  // Fails once more when it is given up.
  socket.on('error', () => undefined);
  // Whether or not it comes to that.
  Promise.resolve(tls).catch(() => undefined);
  try {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    await once(socket, 'connect', { signal: inTime });
    onReached?.();
    return await tlsOver(socket, { tls, whom }, inTime);
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    const failure = failureOf(error, { whom, timeoutMs });
    if (failure.kind === 'not-listening') onReached?.();
    throw failure;
  }
}

function failureOf(
  error: unknown,
  { whom, timeoutMs }: { readonly whom: string; readonly timeoutMs: number },
): WayFailure {
  if (error instanceof WayFailure) return error;
  const { code, name, syscall } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || name === 'AbortError') {
    return unreachable(`${whom} did not answer within ${timeoutMs / 1000} s`, error);
  }
  if (syscall !== 'connect') {
    const message = `${whom} closed the connection: ${messageOf(error)}`;
    return new WayFailure('passing', message, { hint: reachHint, cause: error });
  }
  return code === 'ECONNREFUSED'
    ? new WayFailure('not-listening', `nothing listens at ${whom}`, { cause: error })
    : unreachable(`${whom} cannot be reached: ${messageOf(error)}`, error);
}

function unreachable(message: string, cause: unknown): WayFailure {
  return new WayFailure('refused', message, { hint: reachHint, cause });
}
