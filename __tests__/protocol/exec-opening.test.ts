import { afterEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';

import type { ApiTarget } from '../../src/kubernetes/api-target.ts';
import { KubernetesError } from '../../src/kubernetes/errors.ts';
import type { ExecStream } from '../../src/kubernetes/exec/exec-stream.ts';
import {
  openExecStream,
  type OpenExecOptions,
} from '../../src/kubernetes/exec/open-exec-stream.ts';
import {
  answer,
  type FakeExecOptions,
  type FakeExecServer,
  type FakeRequest,
  kubeStatus,
  readRequest,
  spdyReset,
  startFakeExecServer,
  successStatus,
  webSocketAccept,
} from '../fakes/fake-exec-server.ts';
import { TestAuthority } from '../fakes/test-certificates.ts';

let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

async function startServer(options: FakeExecOptions = {}): Promise<FakeExecServer> {
  return resources.use(await startFakeExecServer(options));
}

async function open(
  server: Pick<FakeExecServer, 'url'>,
  options: Partial<OpenExecOptions> & { readonly through?: Partial<ApiTarget> } = {},
): Promise<ExecStream> {
  const stream = await openExecStream({
    target: { server: server.url, tls: {}, headers: {}, ...options.through },
    namespace: 'ci',
    pod: 'builder-0',
    container: 'buildkitd',
    command: ['buildctl', 'dial-stdio'],
    signal: new AbortController().signal,
    ...options,
  });
  resources.defer(() => {
    stream.on('error', () => undefined).destroy();
  });
  return stream;
}

async function failureOf(opening: Promise<unknown>): Promise<KubernetesError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubernetesError)) throw new Error('no KubernetesError', { cause: error });
  return error;
}

const isSpdy = ({ headers }: FakeRequest): boolean => headers.upgrade === 'SPDY/3.1';
const status404 = kubeStatus({
  reason: 'NotFound',
  code: 404,
  message: 'pods "builder-0" not found',
});
const html = '<html>\n<head><title>400 Bad Request</title></head><body>nginx</body></html>';

const forbidden = (verb: string): string =>
  kubeStatus({
    reason: 'Forbidden',
    code: 403,
    message: `pods "builder-0" is forbidden: User "ci" cannot ${verb} resource "pods/exec" in API group "" in the namespace "ci"`,
  });

const json = ['Content-Type: application/json'];

type Refuse = (request: FakeRequest) => void;

/** How SPDY may be refused so that WebSocket is worth a try. */
const passing: readonly (readonly [string, Refuse])[] = [
  ['a missing verb', answering('403 Forbidden', forbidden('create'), json)],
  ['an unknown subprotocol', answering('403 Forbidden', '')],
  [
    'a proxy that drops the upgrade headers',
    answering('400 Bad Request', kubeStatus({ code: 400, message: 'Upgrade request required' })),
  ],
  ['a proxy that finds the request bad', answering('400 Bad Request', html)],
  ['a proxy without this path', answering('404 Not Found', '404 page not found')],
  ['a proxy without this method', answering('405 Method Not Allowed', '')],
  [
    'an API server without this method',
    answering('405 Method Not Allowed', kubeStatus({ code: 405, message: 'not allowed' })),
  ],
  ['a demand for another upgrade', answering('426 Upgrade Required', '')],
  ['a proxy that lacks it', answering('501 Not Implemented', '')],
  ['a bad gateway', answering('502 Bad Gateway', html)],
  ['an answer instead of an upgrade', answering('200 OK', 'hello')],
  ['a redirect', answering('302 Found', '', ['Location: https://sso/login?t=1'])],
  ['a reset', withSocket((socket) => socket.resetAndDestroy())],
  ['an end', withSocket((socket) => socket.end())],
  ['no answer', () => undefined],
  ['noise', withSocket((socket) => socket.end('\0\0\0\0'))],
  ['a switch to something else', switching('h2c')],
  ['another version of the streams', switching('SPDY/3.1')],
  ['an upgrade that is cut', switchThen((socket) => socket.destroy())],
  ['an upgrade without replies', switchThen(() => undefined)],
  ['refused streams', switchThen((socket) => socket.write(spdyReset(1, 3)))],
  ['an upgrade to noise', switchThen((socket) => socket.write('HTTP/1.1 400 Bad\r\n\r\n'))],
];

function answering(status: string, body: string, headers: readonly string[] = []): Refuse {
  return (request) => {
    answer(request, status, body, headers);
  };
}

function withSocket(act: (socket: Socket) => unknown): Refuse {
  return ({ socket }) => {
    act(socket);
  };
}

function switching(upgrade: string): Refuse {
  const head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;
  return withSocket((socket) => socket.write(head));
}

function switchThen(then: (socket: Socket) => unknown): Refuse {
  return ({ socket }) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n' +
        'X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
    );
    socket.once('data', () => {
      then(socket);
    });
  };
}

describe('where SPDY is refused', () => {
  it.each(passing)('goes on to WebSocket after %s', async (_name, refuse) => {
    const messages: string[] = [];
    const server = await startServer({
      intercept: (request) => {
        if (isSpdy(request)) refuse(request);
        return isSpdy(request);
      },
    });
    const ignore = (): void => undefined;
    const stream = await open(server, {
      handshakeTimeoutMs: 200,
      logger: {
        debug: (message) => messages.push(message),
        info: ignore,
        notice: ignore,
        warning: ignore,
        startGroup: ignore,
        endGroup: ignore,
      },
    });
    expect(stream.protocol).toBe('websocket-v5');
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
    expect(server.requests[1]!.headers['sec-websocket-protocol']).toBe(
      'v5.channel.k8s.io, v4.channel.k8s.io',
    );
    expect(messages[0]).toMatch(/^Exec over SPDY refused: ./);
    expect(messages[1]).toContain('websocket-v5');
    const peer = await server.nextPeer();
    peer.stdout('there');
    const [data] = (await once(stream, 'data')) as [Buffer];
    expect(data.toString()).toBe('there');
    for (const socket of server.sockets.slice(0, 1)) {
      if (!socket.destroyed) await once(socket, 'close');
    }
  });

  it('takes version 4 where the server has no other', async () => {
    const server = await startServer({
      intercept: (request) => {
        const { socket, headers } = request;
        if (isSpdy(request)) answer(request, '403 Forbidden', '');
        else {
          const accept = webSocketAccept(headers['sec-websocket-key'] ?? '');
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
              `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`,
          );
        }
        return true;
      },
    });
    expect((await open(server)).protocol).toBe('websocket-v4');
  });

  it.each([
    ['v1.channel.k8s.io', undefined, 'chose the subprotocol v1.channel.k8s.io'],
    ['v5.channel.k8s.io', 'c29tZXRoaW5nIGVsc2U=', 'another WebSocket key'],
  ])('refuses a WebSocket server that answers %s, %s', async (subprotocol, key, expected) => {
    const server = await startServer({
      intercept: ({ socket, headers }) => {
        const accept = key ?? webSocketAccept(headers['sec-websocket-key'] ?? '');
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
            `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
        );
        return true;
      },
    });
    const error = await failureOf(open(server, { protocols: ['websocket-v5', 'websocket-v4'] }));
    expect(error.code).toBe('EXEC_UPGRADE_REFUSED');
    expect(error.message).toContain(expected);
  });
});

describe('where asking another way is no use', () => {
  const unauthorized = kubeStatus({ reason: 'Unauthorized', code: 401, message: 'Unauthorized' });
  const invalid = kubeStatus({
    reason: 'BadRequest',
    code: 400,
    message: 'container buildkitd is not valid for pod builder-0',
  });
  const internal = kubeStatus({
    reason: 'InternalError',
    code: 500,
    message: 'error dialing backend: dial tcp 10.0.0.7:10250: connect: connection refused',
  });
  it.each([
    ['401 Unauthorized', unauthorized, 'KUBE_UNAUTHORIZED', 'Unauthorized'],
    ['401 Unauthorized', 'who are you', 'KUBE_UNAUTHORIZED', 'who are you'],
    ['404 Not Found', status404, 'EXEC_REFUSED', 'pods "builder-0" not found'],
    ['400 Bad Request', invalid, 'EXEC_REFUSED', 'is not valid for pod'],
    ['500 Internal Server Error', internal, 'KUBE_API_FAILED', 'error dialing backend'],
    ['503 Service Unavailable', kubeStatus({ message: 'etcd' }), 'KUBE_API_FAILED', 'etcd'],
    ['429 Too Many Requests', kubeStatus({ message: 'slow' }), 'KUBE_API_FAILED', 'slow'],
    ['429 Too Many Requests', 'slow down', 'KUBE_API_FAILED', 'slow down'],
    [
      '500 Internal Server Error',
      'container not found ("buildkitd")\n',
      'EXEC_REFUSED',
      'container not found ("buildkitd")',
    ],
  ])('tells a %s (%s)', async (status, body, code, text) => {
    const server = await startServer({
      intercept: (request) => {
        answer(request, status, body);
        return true;
      },
    });
    const error = await failureOf(open(server));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.message).toContain(`SPDY): HTTP ${status}`);
    expect(error.message).toContain('pod ci/builder-0 (container buildkitd)');
    expect(error.httpStatus).toBe(Number(status.slice(0, 3)));
    expect(error.hint).toMatch(/\.$/);
    expect(server.requests).toHaveLength(1);
  });

  it('tells only the last refusal when that is final', async () => {
    const server = await startServer({
      intercept: (request) => {
        if (isSpdy(request)) answer(request, '502 Bad Gateway', html);
        else answer(request, '404 Not Found', status404, json);
        return true;
      },
    });
    const error = await failureOf(open(server));
    expect(error.code).toBe('EXEC_REFUSED');
    expect(error.message).not.toContain('502');
  });

  it('names both verbs that are missing', async () => {
    const server = await startServer({
      intercept: (request) => {
        answer(request, '403 Forbidden', forbidden(isSpdy(request) ? 'create' : 'get'), json);
        return true;
      },
    });
    const error = await failureOf(open(server));
    expect(error.code).toBe('KUBE_FORBIDDEN');
    expect(error.message).toMatch(/SPDY: .*cannot create .*; WebSocket: .*cannot get /);
    expect(error.hint).toBe(
      'Grant the verbs "create" and "get" on "pods/exec" in the namespace ci.',
    );
  });

  it('names the gateway that refused both ways, and nothing secret', async () => {
    const server = await startServer({
      intercept: (request) => {
        const location = 'Location: https://sso.example/login?token=s3cret';
        if (isSpdy(request)) answer(request, '302 Found', '', [location]);
        else answer(request, '400 Bad Request', html, ['Server: nginx/1.27']);
        return true;
      },
    });
    const error = await failureOf(
      open(server, { through: { headers: { authorization: 'Bearer s3cret' } } }),
    );
    expect(error.code).toBe('EXEC_UPGRADE_REFUSED');
    expect(error.message).toContain(
      'SPDY: HTTP 302 Found, redirecting to https://sso.example/login;',
    );
    expect(error.message).toContain(
      'WebSocket: HTTP 400 Bad Request from nginx/1.27: 400 Bad Request',
    );
    expect(JSON.stringify([error.message, error.hint])).not.toContain('s3cret');
    expect(server.requests[0]!.headers.authorization).toBe('Bearer s3cret');
  });

  it('tells a refusal once when both ways met it', async () => {
    const server = await startServer({
      intercept: (request) => {
        answer(request, '502 Bad Gateway', html);
        return true;
      },
    });
    const error = await failureOf(open(server));
    expect(error.message).toContain('(SPDY and WebSocket): HTTP 502 Bad Gateway');
  });

  it.each<[string, Refuse, Refuse]>([
    ['nothing at all', () => undefined, () => undefined],
    ['silence after the switch', switchThen(() => undefined), () => undefined],
    ['silence after a refusal', answering('502 Bad Gateway', html), () => undefined],
    ['a refusal after silence', () => undefined, answering('502 Bad Gateway', html)],
  ])('takes no silence for a refusal of upgrades: %s', async (_name, spdy, webSocket) => {
    const server = await startServer({
      intercept: (request) => {
        (isSpdy(request) ? spdy : webSocket)(request);
        return true;
      },
    });
    const error = await failureOf(open(server, { handshakeTimeoutMs: 200 }));
    expect(error.code).toBe('KUBE_API_FAILED');
    expect(error.message).toContain('no answer within 0.2 s');
    expect(error.hint).toContain('overloaded');
    expect(server.requests).toHaveLength(2);
  });

  it('looks only at the start of a page', async () => {
    const server = await startServer({
      intercept: (request) => {
        // Looking for tags takes a time that grows with the square of these.
        answer(request, '502 Bad Gateway', `${'<'.repeat(5000)}<title>Late</title>`);
        return true;
      },
    });
    expect((await failureOf(open(server))).message).not.toContain('Late');
  });

  it('cuts an endless refusal', async () => {
    const server = await startServer({
      intercept: ({ socket }) => {
        socket.write('HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n');
        const more = (): void => {
          while (socket.write(`10000\r\n${'x'.repeat(0x10000)}\r\n`));
        };
        socket.on('drain', more);
        more();
        return true;
      },
    });
    const error = await failureOf(open(server));
    expect(error.code).toBe('EXEC_UPGRADE_REFUSED');
    expect(error.message.length).toBeLessThan(1000);
  });
});

describe('giving up', () => {
  it.each(['before the answer', 'before the replies'])('stops %s', async (when) => {
    const controller = new AbortController();
    const server = await startServer({
      intercept: (request) => {
        if (when === 'before the replies') switchThen(abortSoon)(request);
        else abortSoon();
        return true;
      },
    });
    function abortSoon(): void {
      setImmediate(() => {
        controller.abort(new Error('cancelled by the user'));
      });
    }
    await expect(open(server, { signal: controller.signal })).rejects.toThrow(
      'cancelled by the user',
    );
    const [socket] = server.sockets;
    if (!socket!.destroyed) await once(socket!, 'close');
    expect(server.requests).toHaveLength(1);
  });

  it('does not start when it is too late', async () => {
    const server = await startServer();
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(open(server, { signal })).rejects.toThrow('too late');
    expect(server.sockets).toHaveLength(0);
  });

  it('leaves an open stream alone', async () => {
    const controller = new AbortController();
    const server = await startServer();
    const stream = await open(server, { signal: controller.signal });
    controller.abort();
    const peer = await server.nextPeer();
    peer.stdout('still here');
    const [data] = (await once(stream, 'data')) as [Buffer];
    expect(data.toString()).toBe('still here');
  });

  it('names a server that is not there', async () => {
    const error = await failureOf(open({ url: new URL('https://127.0.0.1:1') }));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.message).toContain('https://127.0.0.1:1');
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('lets the process end by itself', async () => {
    const server = await startServer();
    const child = promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      `const { openExecStream } = await import(${JSON.stringify(
        join(import.meta.dirname, '..', '..', 'src', 'kubernetes', 'exec', 'open-exec-stream.ts'),
      )});
       const stream = await openExecStream({
         target: { server: new URL('${server.url.href}'), tls: {}, headers: {} },
         namespace: 'ci', pod: 'p', container: 'c', command: ['cat'],
         signal: new AbortController().signal,
       });
       stream.end('hello');
       for await (const chunk of stream) process.stdout.write(chunk);`,
    ]);
    const peer = await server.nextPeer();
    await peer.until(() => peer.stdinEnded);
    peer.stdout(Buffer.concat(peer.stdin));
    peer.status(successStatus);
    peer.close();
    expect(await child).toMatchObject({ stdout: 'hello' });
  });
});

describe('TLS', () => {
  const authority = new TestAuthority();
  const server = authority.issue('kubernetes', ['kubernetes.example', '127.0.0.1']);
  const client = authority.issue('ci');
  const tls = { ...server, ca: authority.cert, requestCert: true };

  it('trusts the authority of the kubeconfig and shows the client certificate', async () => {
    const fake = await startServer({ tls });
    const stream = await open(fake, { through: { tls: { ca: authority.cert, ...client } } });
    const peer = await fake.nextPeer();
    const socket = peer.socket as TLSSocket;
    expect(socket.authorized).toBe(true);
    expect(socket.getPeerCertificate().subject.CN).toBe('ci');
    const payload = Buffer.alloc(5_000_000, 'ab');
    stream.write(payload);
    await peer.until(() => peer.stdinBytes === payload.length);
    expect(Buffer.concat(peer.stdin).equals(payload)).toBe(true);
  });

  it('checks the name that the kubeconfig gives', async () => {
    const fake = await startServer({ tls });
    const trusted = { ca: authority.cert, ...client };
    const right = { tls: { ...trusted, servername: 'kubernetes.example' } };
    await open(fake, { through: right });
    const wrong = { tls: { ...trusted, servername: 'other.example' } };
    const error = await failureOf(open(fake, { through: wrong }));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.hint).toContain('tls-server-name');
  });

  it('checks an address that the kubeconfig gives in place of a name', async () => {
    const fake = await startServer({ tls });
    const url = new URL(`https://localhost:${fake.url.port}`);
    const trusted = { ca: authority.cert, ...client };
    await open({ url }, { through: { tls: { ...trusted, servername: '127.0.0.1' } } });
    const wrong = { tls: { ...trusted, servername: '127.0.0.2' } };
    expect((await failureOf(open({ url }, { through: wrong }))).hint).toContain('tls-server-name');
    expect((await failureOf(open({ url }, { through: { tls: trusted } }))).hint).toContain(
      'tls-server-name',
    );
  });

  it('refuses an unknown authority, unless told otherwise', async () => {
    const fake = await startServer({ tls });
    const error = await failureOf(open(fake));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.hint).toContain('certificate-authority-data');
    await open(fake, { through: { tls: { rejectUnauthorized: false, ...client } } });
  });

  it('tells that the server wants another client certificate', async () => {
    const fake = await startServer({ tls });
    const through = { tls: { ca: authority.cert } };
    const error = await failureOf(open(fake, { through }));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.hint).toContain('client certificate');
    expect(fake.requests).toHaveLength(0);
  });

  it('names what does not speak TLS', async () => {
    const fake = await startServer();
    const url = new URL(fake.url.href.replace('http:', 'https:'));
    const error = await failureOf(open({ url }, { handshakeTimeoutMs: 300 }));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
  });
});

describe('a proxy', () => {
  const authority = new TestAuthority();
  const proxyIdentity = authority.issue('proxy', ['127.0.0.1']);
  const serverIdentity = authority.issue('kubernetes', ['kubernetes.example', '127.0.0.1']);

  interface FakeProxy {
    readonly url: URL;
    readonly requests: FakeRequest[];
    readonly upstreams: Socket[];
  }

  /** Connects everything to `destination`, whatever was asked for. */
  async function startProxy(destination: URL, secure: boolean, refuse = false): Promise<FakeProxy> {
    const requests: FakeRequest[] = [];
    const upstreams: Socket[] = [];
    const accept = (socket: Socket): void => {
      socket.on('error', () => undefined);
      readRequest(socket, (request) => {
        requests.push(request);
        if (refuse) {
          answer(request, '407 Proxy Authentication Required', 'who?');
          return;
        }
        const upstream = connectTcp(Number(destination.port), destination.hostname, () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
          socket.pipe(upstream).pipe(socket);
        });
        upstream.on('error', () => undefined);
        socket.on('close', () => upstream.destroy());
        upstreams.push(upstream);
      });
    };
    const proxy: Server = secure
      ? createTlsServer({ ...proxyIdentity }, accept)
      : createServer(accept);
    const raw = new Set<Socket>();
    proxy.on('connection', (socket) => raw.add(socket));
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    resources.defer(async () => {
      for (const socket of raw) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    });
    const { port } = proxy.address() as AddressInfo;
    const scheme = secure ? 'https' : 'http';
    const url = new URL(`${scheme}://user:p%40ss@127.0.0.1:${port}`);
    return { url, requests, upstreams };
  }

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])(
    'is asked for a tunnel (proxy with TLS: %s, server with TLS: %s)',
    async (secure, serverTls) => {
      const fake = await startServer(serverTls ? { tls: serverIdentity } : {});
      const proxy = await startProxy(fake.url, secure);
      const server = new URL(`${serverTls ? 'https' : 'http'}://kubernetes.example:6443/k8s/c-1/`);
      const tls = { ca: authority.cert };
      const stream = await open({ url: server }, { through: { server, tls, proxy: proxy.url } });
      expect(proxy.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
        'CONNECT kubernetes.example:6443',
      ]);
      const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
      expect(proxy.requests[0]!.headers['proxy-authorization']).toBe(basic);
      expect(fake.requests[0]!.target).toMatch(/^\/k8s\/c-1\/api\/v1\/namespaces\/ci\//);
      expect(fake.requests[0]!.headers.host).toBe('kubernetes.example:6443');
      expect(fake.requests[0]!.headers['proxy-authorization']).toBeUndefined();
      const peer = await fake.nextPeer();
      const payload = Buffer.alloc(3_000_000, 'cd');
      stream.write(payload);
      await peer.until(() => peer.stdinBytes === payload.length);
      expect(Buffer.concat(peer.stdin).equals(payload)).toBe(true);
      stream.destroy();
      const [upstream] = proxy.upstreams;
      if (!upstream!.destroyed) await once(upstream!, 'close');
    },
  );

  it('that is lost ends the stream', async () => {
    const fake = await startServer({ tls: serverIdentity });
    const proxy = await startProxy(fake.url, false);
    const through = { tls: { ca: authority.cert }, proxy: proxy.url };
    const stream = await open(fake, { through });
    const failed = once(stream, 'error');
    stream.resume();
    proxy.requests[0]!.socket.resetAndDestroy();
    const [error] = (await failed) as [Error];
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
  });

  it('that refuses is named without its password', async () => {
    const fake = await startServer();
    const proxy = await startProxy(fake.url, false, true);
    const error = await failureOf(open(fake, { through: { proxy: proxy.url } }));
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.message).toContain(`through the proxy ${proxy.url.host}`);
    expect(error.message).toContain('407 Proxy Authentication Required');
    expect(error.message).not.toContain('p@ss');
    expect(error.message).not.toContain('p%40ss');
  });

  it('that does not answer is given up', async () => {
    const silent = createServer(() => undefined);
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const sockets: Socket[] = [];
    silent.on('connection', (socket) => sockets.push(socket));
    const { port } = silent.address() as AddressInfo;
    const fake = await startServer();
    const proxy = new URL(`http://127.0.0.1:${port}`);
    const error = await failureOf(open(fake, { through: { proxy }, handshakeTimeoutMs: 100 }));
    expect(error.message).toContain('no answer within 0.1 s');
    for (const socket of sockets) if (!socket.destroyed) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  it('of another kind is refused', async () => {
    const fake = await startServer();
    const proxy = new URL('socks5://127.0.0.1:1080');
    const error = await failureOf(open(fake, { through: { proxy } }));
    expect(error.message).toContain('"socks5:"');
  });
});
