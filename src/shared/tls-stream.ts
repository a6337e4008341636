import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  connect,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';

/** Who we are, whom we trust, and whom we expect; one context serves any number of connections. */
export interface TlsClient {
  readonly context: SecureContext;
  /** Checked against the certificate, whatever the address was. */
  readonly serverName: string;
}

/** Loads certificates for TLS 1.3, which all daemons speak; throws where the PEM is none. */
export function tlsContext(pem: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'>): SecureContext {
  return createSecureContext({ ...pem, minVersion: 'TLSv1.3' });
}

/**
 * Speaks TLS over a connected stream and waits until the daemon has said something.
 *
 * In TLS 1.3 the client's certificate is judged when the handshake is over for the client; a gRPC
 * server greets at once, so that its first bytes say that we were let in. Takes the stream over, also
 * when it fails. Throws the error of TLS or of the stream (see `describeTlsFailure`), or the
 * signal's reason.
 */
export async function openTlsStream(
  stream: Duplex,
  { context, serverName }: TlsClient,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connect({
    socket: stream,
    secureContext: context,
    servername: serverName,
    // Servers of gRPC in Go insist on it.
    ALPNProtocols: ['h2'],
  });
  // Both may fail once more when they are given up.
  socket.on('error', () => undefined);
  try {
    await spoken(socket, signal);
    return socket;
  } catch (error) {
    socket.destroy();
    stream.on('error', () => undefined).destroy();
    signal.throwIfAborted();
    // What the stream below says is nearer to the cause.
    throw stream instanceof Socket ? error : (stream.errored ?? error);
  }
}

/** Waits for the first bytes of the far side, without taking them. */
export async function spoken(stream: Duplex, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  const end = (): void => {
    ended.abort(stream.errored ?? new Error('it closed the connection without a word'));
  };
  stream.on('close', end);
  stream.on('end', end);
  const stop = AbortSignal.any([signal, ended.signal]);
  try {
    if (stream.destroyed) end();
    await once(stream, 'readable', { signal: stop });
    // The end is readable, too.
    if (stream.readableLength === 0) {
      end();
      stop.throwIfAborted();
    }
  } catch (error) {
    throw stop.aborted ? stop.reason : error;
  } finally {
    stream.off('close', end);
    stream.off('end', end);
  }
}
