import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import type { RemoteEndpoint, RemoteTls } from '../options/options.ts';
import type { CountedDuplex, Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import { type TlsFailure, tlsFailureOf } from '../shared/tls-failure.ts';
import { openTlsStream, type TlsClient, tlsContext } from '../shared/tls-stream.ts';
import { RemoteError } from './errors.ts';

/** How long an address may leave a connection without an answer. */
const connectTimeoutMs = 10_000;
/** How long it is looked whether TLS is spoken where none was asked for. */
const probeTimeoutMs = 3_000;

const certificateVariables =
  'BUILDER_NODE_0_AUTH_TLS_CACERT, …_CERT and …_KEY (with the number of the node)';

/**
 * Makes the dialer of a daemon at `tcp://host:port` or `unix:///path`.
 *
 * It throws `REMOTE_UNREACHABLE` for what may pass, `REMOTE_REFUSED` for what will not, or the
 * signal's reason.
 */
export function remoteDialer(endpoint: RemoteEndpoint): Dialer {
  const { url } = endpoint;
  const tls = endpoint.tls === undefined ? undefined : clientOf(url, endpoint.tls);
  return async (signal) => {
    const socket = await openSocket(url, signal);
    return tls === undefined ? socket : secure(socket, { url, tls, signal });
  };
}

/** The error for a daemon that did not answer in plain text, if it is because it speaks TLS. */
export async function explainSilence(
  { url, tls }: RemoteEndpoint,
  signal: AbortSignal,
): Promise<RemoteError | undefined> {
  if (tls !== undefined || !url.startsWith('tcp://')) return undefined;
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]);
  let found: 'tls' | undefined;
  try {
    const socket = await openSocket(url, inTime);
    const client = { context: tlsContext({}), serverName: addressOf(url).host, greets: false };
    (await openTlsStream(socket, client, inTime)).destroy();
    found = 'tls';
  } catch (error) {
    const failure = tlsFailureOf(error);
    if (failure !== undefined && failure.kind !== 'not-tls') found = 'tls';
  }
  signal.throwIfAborted();
  if (found === undefined) return undefined;
  return new RemoteError('REMOTE_REFUSED', `${url} speaks TLS, and no certificates were given`, {
    hint: `Give them by ${certificateVariables}, or by cacert=, cert= and key= in driver-opts.`,
  });
}

function clientOf(url: string, { ca, cert, key, serverName }: RemoteTls): TlsClient {
  try {
    const context = tlsContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      minVersion: 'TLSv1.2',
    });
    return { context, serverName: serverName ?? addressOf(url).host, greets: false };
  } catch (error) {
    throw new RemoteError('REMOTE_REFUSED', `the certificates for ${url} cannot be used`, {
      hint: `Check that certificate and key belong together and are PEM: ${certificateVariables}.`,
      cause: error,
    });
  }
}

async function openSocket(url: string, signal: AbortSignal): Promise<Socket> {
  const socket = url.startsWith('unix://')
    ? connect({ path: url.slice('unix://'.length) })
    : connect({ ...addressOf(url), noDelay: true, keepAlive: true });
  // Fails once more when it is given up.
  socket.on('error', () => undefined);
  try {
    const timeout = AbortSignal.timeout(connectTimeoutMs);
    await once(socket, 'connect', { signal: AbortSignal.any([signal, timeout]) });
    return socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw socketFailure(error, url);
  }
}

async function secure(
  socket: Socket,
  {
    url,
    tls,
    signal,
  }: { readonly url: string; readonly tls: TlsClient; readonly signal: AbortSignal },
): Promise<CountedDuplex> {
  try {
    return await openTlsStream(socket, tls, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = tlsFailureOf(error);
    if (failure !== undefined) throw tlsError(url, { failure, tls, cause: error });
    throw unreachable(url, `it closed the connection: ${messageOf(error)}`, error);
  }
}

function tlsError(
  url: string,
  { failure, tls, cause }: { failure: TlsFailure; tls: TlsClient; cause: unknown },
): RemoteError {
  const hints = {
    untrusted: `Give the certificate authority of the daemon, and with servername= in driver-opts the name in its certificate, if that is not ${tls.serverName}.`,
    'not-let-in': `Give a client certificate that the daemon accepts, by ${certificateVariables}.`,
    'not-tls': 'Give no certificates for it, or the port on which the daemon speaks TLS.',
  } as const;
  return new RemoteError('REMOTE_REFUSED', `no connection to ${url}: ${failure.why}`, {
    hint: hints[failure.kind],
    cause,
  });
}

function socketFailure(error: unknown, url: string): RemoteError {
  const { code = '', name } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return new RemoteError('REMOTE_REFUSED', `no connection to ${url}: permission denied`, {
      hint: 'Let the user of this runner read and write the socket.',
      cause: error,
    });
  }
  const silent = `no answer within ${connectTimeoutMs / 1000} s`;
  const why = reasons[code] ?? (name === 'AbortError' ? silent : messageOf(error));
  return unreachable(url, why, error);
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved now',
};

function unreachable(url: string, why: string, cause: unknown): RemoteError {
  return new RemoteError('REMOTE_UNREACHABLE', `no connection to ${url}: ${why}`, {
    hint: 'Check endpoint, that the daemon runs, and that this runner may reach it.',
    cause,
  });
}

function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}
