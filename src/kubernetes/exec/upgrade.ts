import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';

import type { ApiTarget } from '../api-target.ts';
import { connectToApiServer } from './connect.ts';

/** A request that asks to turn its connection into another protocol. */
export interface UpgradeRequest {
  readonly method: 'GET' | 'POST';
  /** Below the server's URL, with the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
}

/** An HTTP response that is no upgrade; the body is cut after 64 KiB. */
export interface HttpAnswer {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What became of an upgrade request. */
export type UpgradeResult =
  | {
      readonly kind: 'switched';
      readonly headers: IncomingHttpHeaders;
      readonly socket: Socket;
      /** Bytes of the new protocol that came with the response. */
      readonly head: Buffer;
    }
  | { readonly kind: 'answered'; readonly answer: HttpAnswer }
  /** Nothing came in time. */
  | { readonly kind: 'silent' }
  /** The connection broke. */
  | { readonly kind: 'broken'; readonly error: Error };

export interface UpgradeOptions {
  readonly signal: AbortSignal;
  /** For connecting, and again for the answer. */
  readonly timeoutMs: number;
}

const maxBodyBytes = 64 * 1024;

/**
 * Connects to the API server and asks for an upgrade; the socket is the caller's afterwards.
 *
 * Refusals are results, not errors. Throws `KUBE_API_UNREACHABLE` when there is no connection, or
 * the signal's reason.
 */
export async function requestUpgrade(
  target: ApiTarget,
  upgrade: UpgradeRequest,
  options: UpgradeOptions,
): Promise<UpgradeResult> {
  const socket = await connectToApiServer(target, options);
  socket.setNoDelay(true);
  let switched = false;
  try {
    const result = await exchange(socket, { target, upgrade, ...options });
    switched = result.kind === 'switched';
    return result;
  } finally {
    if (!switched) socket.destroy();
  }
}

interface Exchange extends UpgradeOptions {
  readonly target: ApiTarget;
  readonly upgrade: UpgradeRequest;
}

function exchange(socket: Socket, options: Exchange): Promise<UpgradeResult> {
  const { target, upgrade, signal, timeoutMs } = options;
  const { promise, resolve, reject } = Promise.withResolvers<UpgradeResult>();
  const timeout = setTimeout(() => {
    resolve({ kind: 'silent' });
  }, timeoutMs);
  const abort = (): void => {
    reject(signal.reason as Error);
  };
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const call = request({
    method: upgrade.method,
    path: target.server.pathname.replace(/\/$/, '') + upgrade.path,
    headers: { ...target.headers, host: target.server.host, ...outgoing(upgrade.headers) },
    createConnection: () => socket,
  });
  call.on('upgrade', ({ headers }: IncomingMessage, _socket, head: Buffer) => {
    // Nothing may be read before the new owner listens.
    socket.pause();
    resolve({ kind: 'switched', headers, socket, head });
  });
  call.on('response', (response) => {
    readAnswer(response).then(
      (answer) => {
        resolve({ kind: 'answered', answer });
      },
      (error: unknown) => {
        resolve({ kind: 'broken', error: error as Error });
      },
    );
  });
  // Stays on: a socket that is given up may fail once more.
  call.on('error', (error) => {
    resolve({ kind: 'broken', error });
  });
  call.end();
  return promise.finally(() => {
    clearTimeout(timeout);
    signal.removeEventListener('abort', abort);
  });
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= maxBodyBytes) break;
  }
  return {
    statusCode: response.statusCode ?? 0,
    statusMessage: response.statusMessage ?? '',
    headers: response.headers,
    body: Buffer.concat(chunks).toString('utf8', 0, maxBodyBytes),
  };
}

function outgoing(headers: UpgradeRequest['headers']): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : [...value],
    ]),
  );
}
