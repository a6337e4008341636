import { once } from 'node:events';
import { isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  checkServerIdentity,
  connect,
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';

/** Who we are, whom we trust, and whom we expect; one context serves any number of connections. */
export interface TlsClient {
  readonly context: SecureContext;
  /** Checked against the certificate, whatever the address was; a DNS name or an IP address. */
  readonly serverName: string;
  /** Whether the far side greets in any case, as a daemon does; one behind a proxy may not. */
  readonly greets: boolean;
}

/** Loads certificates, by default for TLS 1.3 alone; throws where the PEM is none. */
export function tlsContext(
  pem: Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'minVersion'>,
): SecureContext {
  return createSecureContext({ minVersion: 'TLSv1.3', ...pem });
}

/** How long a far side that need not greet is listened to. */
const greetingMs = 1000;

/**
 * Speaks TLS over a connected stream and waits until the far side has said something.
 *
 * In TLS 1.3 the client's certificate is judged when the handshake is over for the client; a gRPC
 * server greets at once, so that its first bytes say that we were let in. Takes the stream over, also
 * when it fails. Throws the error of TLS or of the stream (see `describeTlsFailure`), or the
 * signal's reason.
 */
export async function openTlsStream(
  stream: Duplex,
  { context, serverName, greets }: TlsClient,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connect({
    socket: stream,
    secureContext: context,
    ...identity(serverName),
    // Servers of gRPC in Go insist on it.
    ALPNProtocols: ['h2'],
  });
  // Both may fail once more when they are given up.
  socket.on('error', () => undefined);
  try {
    if (!greets) await once(socket, 'secureConnect', { signal });
    await spoken(socket, signal, greets ? undefined : greetingMs);
    return socket;
  } catch (error) {
    socket.destroy();
    stream.on('error', () => undefined).destroy();
    signal.throwIfAborted();
    // What the stream below says is nearer to the cause.
    throw stream instanceof Socket ? error : (stream.errored ?? error);
  }
}

/** An IP address is no server name of TLS (RFC 6066), but certificates may have it. */
function identity(name: string): Pick<ConnectionOptions, 'servername' | 'checkServerIdentity'> {
  return isIP(name) === 0
    ? { servername: name }
    : { checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate) };
}

/**
 * Waits for the first bytes of the far side, without taking them, or for `timeoutMs`.
 *
 * Throws the stream's error when it ends without any.
 */
export async function spoken(
  stream: Duplex,
  signal: AbortSignal,
  timeoutMs?: number,
): Promise<void> {
  const ended = new AbortController();
  const end = (): void => {
    ended.abort(stream.errored ?? new Error('it closed the connection without a word'));
  };
  stream.on('close', end);
  stream.on('end', end);
  const stop = AbortSignal.any([signal, ended.signal]);
  const patience = timeoutMs === undefined ? stop : AbortSignal.timeout(timeoutMs);
  try {
    if (stream.destroyed) end();
    await once(stream, 'readable', { signal: AbortSignal.any([stop, patience]) });
    // The end is readable, too.
    if (stream.readableLength === 0) {
      end();
      stop.throwIfAborted();
    }
  } catch (error) {
    stop.throwIfAborted();
    if (!patience.aborted) throw error;
  } finally {
    stream.off('close', end);
    stream.off('end', end);
  }
}
