import { KubeConfig } from '@kubernetes/client-node';
import { createServer, type IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

/** A plain HTTP server that hands on what it is asked to the API server, and counts. */
export interface CountingApiProxy extends AsyncDisposable {
  readonly url: string;
  /** Such as `GET pods`, `PATCH pods/name`, `WATCH leases`, in the order in which they came. */
  readonly requests: string[];
}

/** Hands on with the rights of the kubeconfig's current user. */
export async function startCountingApiProxy(kubeconfig: string): Promise<CountingApiProxy> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key } = options;
  const credentials = { ca, cert, key };
  const agent = new Agent({ ...credentials, keepAlive: true });
  const requests: string[] = [];
  const open = new Set<Duplex>();

  const handOn = (incoming: IncomingMessage) => {
    requests.push(describe(incoming));
    const { method, headers, url = '/' } = incoming;
    const target = new URL(url, config.getCurrentCluster()?.server);
    const isUpgrade = headers.upgrade !== undefined;
    const outgoing = request(target, {
      ...credentials,
      method,
      headers: { ...headers, host: target.host },
      agent: isUpgrade ? false : agent,
    });
    incoming.pipe(outgoing);
    return outgoing;
  };

  const server = createServer((incoming, response) => {
    const outgoing = handOn(incoming);
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
  });
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.on('upgrade', (incoming, client: Duplex, head: Buffer) => {
    const outgoing = handOn(incoming);
    client.on('error', () => outgoing.destroy());
    outgoing.on('error', () => client.destroy());
    outgoing.on('upgrade', (answer, upstream: Duplex, first: Buffer) => {
      const headers = pairs(answer.rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('')}\r\n`);
      client.write(first);
      upstream.write(head);
      upstream.on('error', () => client.destroy());
      upstream.pipe(client).pipe(upstream);
    });
    outgoing.on('response', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      agent.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

/** `/api/v1/namespaces/ci/pods/a` is `pods/name`, `…/pods/a/exec` is `pods/exec`. */
function describe({ method = '', url = '' }: IncomingMessage): string {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const parts = pathname.split('/').slice(pathname.startsWith('/api/') ? 3 : 4);
  const [resource, name, subresource] = parts[0] === 'namespaces' ? parts.slice(2) : parts;
  const last = subresource ?? (name === undefined ? undefined : 'name');
  const what = [resource ?? pathname, ...(last === undefined ? [] : [last])].join('/');
  return `${searchParams.has('watch') ? 'WATCH' : method} ${what}`;
}

function pairs(raw: readonly string[]): [string, string][] {
  const { length } = raw;
  return Array.from({ length: length / 2 }, (_item, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}
