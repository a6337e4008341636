import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KubeConfig } from '../../src/kubernetes/kube-config.ts';
import { anonymousUser, type UserEntry } from '../../src/kubernetes/kube-config-parse.ts';

/** One request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The client's port: the same for requests over the same connection. */
  readonly connection: number;
}

/** Answers one request; the rest of what a response may do is open to it. */
export type Answer = (request: SeenRequest, response: ServerResponse) => void;

/**
 * An HTTP server on a free port that is an API server as far as its answers are.
 *
 * It knows no object: each test writes the JSON that it wants sent.
 */
export class FakeKubeApi implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #server;
  readonly #scheme: string;

  private constructor(
    answer: Answer,
    tls: { readonly key: string; readonly cert: string } | undefined,
  ) {
    const listener: RequestListener = (request, response) => {
      void this.#serve(request, response, answer);
    };
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#scheme = tls === undefined ? 'http' : 'https';
  }

  static async start(
    answer: Answer,
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<FakeKubeApi> {
    const api = new FakeKubeApi(answer, tls);
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A chosen context for this server. */
  config(
    user: Partial<UserEntry> = {},
    cluster: Partial<KubeConfig['cluster']> & { readonly path?: string } = {},
  ): KubeConfig {
    const { path = '', ...more } = cluster;
    return {
      source: 'a test',
      name: 'fake',
      namespace: 'ci',
      cluster: {
        server: `${this.#scheme}://127.0.0.1:${String(this.port)}${path}`,
        certificateAuthority: { file: undefined, data: undefined },
        insecureSkipTlsVerify: false,
        tlsServerName: undefined,
        proxyUrl: undefined,
        ...more,
      },
      user: { ...anonymousUser, ...user },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(request.url ?? '/', 'http://fake');
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      connection: request.socket.remotePort ?? 0,
    };
    this.requests.push(seen);
    answer(seen, response);
  }
}

/** Sends JSON. */
export function json(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** Sends a Kubernetes Status. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  more: object = {},
): void {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status };
  json(response, status, { ...body, ...more });
}
