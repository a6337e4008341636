import { once } from 'node:events';
import { request } from 'node:http';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';

import type { ApiTarget } from '../api-target.ts';
import { unreachable } from './connect-failure.ts';

export interface ConnectOptions {
  readonly signal: AbortSignal;
  /** For each of: reaching the proxy, its answer, TLS with the API server. */
  readonly timeoutMs: number;
}

/**
 * Opens a connection to the API server that is ready for an HTTP/1.1 request.
 *
 * Goes through `target.proxy` by CONNECT, and does TLS unless the server's URL is `http:`. Throws
 * `KUBE_API_UNREACHABLE`, or the signal's reason.
 */
export async function connectToApiServer(
  target: ApiTarget,
  options: ConnectOptions,
): Promise<Socket> {
  const { server, proxy, tls } = target;
  try {
    const tunnel = proxy === undefined ? undefined : await openTunnel(proxy, target, options);
    if (server.protocol !== 'https:') return tunnel ?? (await openTcp(server, options));
    const made = { ...(tunnel && { socket: tunnel }), ...contextOf(target) };
    return await openTls({ ...tls, ...made, ...addressOf(server) }, options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw unreachable(error, server, proxy);
  }
}

function contextOf({ secureContext }: ApiTarget): { readonly secureContext?: SecureContext } {
  return secureContext === undefined ? {} : { secureContext: secureContext() };
}

type TlsOptions = ApiTarget['tls'] & {
  readonly host: string;
  readonly port: number;
  readonly socket?: Socket;
  readonly secureContext?: SecureContext;
};

async function openTls(options: TlsOptions, wait: ConnectOptions): Promise<TLSSocket> {
  const { servername, ...rest } = options;
  const socket = connectTls({
    ...rest,
    ...serverIdentity(servername ?? options.host),
    ALPNProtocols: ['http/1.1'],
  });
  return established(socket, 'secureConnect', wait);
}

/** The name to ask for and to check; an IP address is no server name of TLS (RFC 6066). */
function serverIdentity(
  name: string,
): Pick<ConnectionOptions, 'servername' | 'checkServerIdentity'> {
  return isIP(name) === 0
    ? { servername: name }
    : { checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate) };
}

function openTcp(server: URL, wait: ConnectOptions): Promise<Socket> {
  return established(connectTcp(addressOf(server)), 'connect', wait);
}

/** Asks an HTTP proxy for a tunnel; its credentials are in the URL. */
async function openTunnel(
  proxy: URL,
  { server, tls }: ApiTarget,
  wait: ConnectOptions,
): Promise<Socket> {
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw new Error(`proxies of kind "${proxy.protocol}" are not supported, only http and https`);
  }
  const socket =
    proxy.protocol === 'https:'
      ? await openTls({ ...addressOf(proxy), ca: trustedByProxy(tls) }, wait)
      : await openTcp(proxy, wait);
  const { host, port } = addressOf(server);
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const connect = request({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...proxyAuthorization(proxy) },
    createConnection: () => socket,
  });
  // Fails once more when it is given up.
  connect.on('error', () => undefined);
  connect.end();
  try {
    const [response, tunnel, head] = (await once(connect, 'connect', {
      signal: deadline(wait),
    })) as [{ statusCode: number; statusMessage: string }, Duplex, Buffer];
    if (response.statusCode !== 200) {
      throw new Error(`the proxy answered ${response.statusCode} ${response.statusMessage}`);
    }
    if (head.length > 0) tunnel.unshift(head);
    return socket;
  } catch (error) {
    socket.destroy();
    throw named(error, wait);
  }
}

/** Waits for a socket's handshake, and destroys it when that fails. */
async function established<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  wait: ConnectOptions,
): Promise<S> {
  try {
    await once(socket, event, { signal: deadline(wait) });
    return socket;
  } catch (error) {
    // A second error of a socket that is given up must not end the process.
    socket.on('error', () => undefined).destroy();
    throw named(error, wait);
  }
}

function deadline({ signal, timeoutMs }: ConnectOptions): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
}

function named(error: unknown, { signal, timeoutMs }: ConnectOptions): unknown {
  const timedOut = (error as Error).name === 'AbortError' && !signal.aborted;
  return timedOut ? new Error(`no answer within ${timeoutMs / 1000} s`) : error;
}

function addressOf(url: URL): { host: string; port: number } {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** A proxy may have a public certificate, or one from the kubeconfig's authority, as in kubectl. */
function trustedByProxy({ ca = [] }: ApiTarget['tls']): (string | Buffer)[] {
  return [...getCACertificates('default'), ...(Array.isArray(ca) ? ca : [ca])];
}

function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const plain = `${decoded(username)}:${decoded(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

/** A percent sign that stands for itself is taken as such. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
