import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

import type { BuilderTls } from '../../src/kubernetes/builder-spec.ts';

/** What a daemon of gRPC in Go sends first. */
export const greeting = 'settings of the daemon';

/** Something that listens where a daemon would. */
export interface FakeDaemon extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections that are open now, before any TLS. */
  readonly open: ReadonlySet<Socket>;
  /** Connections that there ever were. */
  readonly connections: number;
}

export interface FakeDaemonOptions {
  /** Default: plain text. */
  readonly tls?: Pick<BuilderTls, 'ca' | 'cert' | 'key'>;
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Default: greets, then gives back what it gets. */
  readonly serve?: (socket: Socket | TLSSocket) => void;
}

/** Starts a daemon that asks its clients for certificates, as buildkitd does with `--tlscacert`. */
export async function startFakeDaemon(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  const { tls, host = '127.0.0.1', port = 0, serve = echo } = options;
  const open = new Set<Socket>();
  let connections = 0;
  const take = (socket: Socket | TLSSocket): void => {
    socket.on('error', () => undefined);
    serve(socket);
  };
  const server: Server =
    tls === undefined
      ? createServer(take)
      : createTlsServer(
          {
            ...tls,
            requestCert: true,
            rejectUnauthorized: true,
            minVersion: 'TLSv1.3',
            ALPNProtocols: ['h2'],
          },
          take,
        );
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket: Socket) => {
    connections += 1;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    host,
    port: (server.address() as AddressInfo).port,
    open,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Greets, then gives back what it gets. */
export function echo(socket: Socket | TLSSocket): void {
  socket.write(greeting);
  socket.pipe(socket);
}

/** Takes connections and says nothing, as a network that swallows everything. */
export function silence(socket: Socket | TLSSocket): void {
  socket.resume();
}
