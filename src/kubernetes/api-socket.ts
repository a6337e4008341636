import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ApiTarget } from './api-target.ts';

/** Well under the minute after which many load balancers forget an idle connection. */
const keepAliveMs = 30_000;

/**
 * Opens a connection to the API server, TLS included, through the proxy if there is one.
 *
 * Rejects with the socket's own error; the caller knows what to call it.
 */
export async function openApiSocket(target: ApiTarget, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const { server, proxy } = target;
  const host = server.hostname.replace(/^\[|\]$/g, '');
  const port = portOf(server);
  const plain = proxy === undefined ? undefined : await openTunnel(proxy, { host, port, signal });
  const secure = server.protocol === 'https:';
  if (!secure && plain !== undefined) return plain;
  const socket = secure
    ? connectTls({
        // Names only: an address is not allowed in the server name extension.
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...target.tls,
        ...(plain === undefined ? { host, port } : { socket: plain, host }),
        ALPNProtocols: ['http/1.1'],
      })
    : connectTcp({ host, port });
  await settled(socket, secure ? 'secureConnect' : 'connect', signal);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  return socket;
}

interface Destination {
  readonly host: string;
  readonly port: number;
  readonly signal: AbortSignal;
}

function openTunnel(proxy: URL, { host, port, signal }: Destination): Promise<Socket> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
    method: 'CONNECT',
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: portOf(proxy),
    path: authority,
    headers: {
      Host: authority,
      ...(credentials === ':'
        ? {}
        : { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
    },
    agent: false,
    signal,
  });
  return new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('connect', (response, socket, head) => {
      if (response.statusCode === 200 && head.length === 0) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new Error(`proxy ${proxy.host} refused CONNECT with ${String(response.statusCode)}`));
    });
    request.once('response', (response) => {
      response.destroy();
      reject(new Error(`proxy ${proxy.host} answered CONNECT with ${String(response.statusCode)}`));
    });
    request.end();
  });
}

function settled(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error: Error | undefined): void => {
      socket.off(event, ready).off('error', finish).off('close', closed);
      signal.removeEventListener('abort', abort);
      if (error === undefined) resolve();
      else {
        socket.on('error', () => undefined);
        socket.destroy();
        reject(error);
      }
    };
    const ready = (): void => {
      finish(undefined);
    };
    const closed = (): void => {
      finish(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
    };
    const abort = (): void => {
      finish(signal.reason as Error);
    };
    socket.once(event, ready).once('error', finish).once('close', closed);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
