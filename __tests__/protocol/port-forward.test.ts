import { afterEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import {
  openPortForward,
  type PortForwardOptions,
  type PortForwardProtocol,
} from '../../src/kubernetes/connection/port-forward.ts';
import type { CountedDuplex } from '../../src/shared/dialer.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { type TlsClient, tlsContext } from '../../src/shared/tls-stream.ts';
import {
  type FakeDaemon,
  type FakeDaemonOptions,
  greeting,
  startFakeDaemon,
} from '../fakes/fake-daemon.ts';
import {
  answer,
  type FakeExecServer,
  type FakeRequest,
  kubeStatus,
  startFakeExecServer,
} from '../fakes/fake-exec-server.ts';
import { FakeForward, type ForwardOptions } from '../fakes/fake-port-forward.ts';

const never = new AbortController().signal;
const tls = await makeBuilderTls('b', { validMs: 3_600_000 });
const protocols = ['spdy', 'websocket'] as const;
let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

function clientOf(own: typeof tls = tls): TlsClient {
  const context = tlsContext({ ca: tls.ca, cert: own.clientCert, key: own.clientKey });
  return { context, serverName: 'buildkitd.b', greets: true };
}

interface Stage {
  readonly server: FakeExecServer;
  readonly daemon: FakeDaemon;
  /** In the order of the requests. */
  readonly forwards: FakeForward[];
  readonly open: (
    more?: Partial<PortForwardOptions>,
    signal?: AbortSignal,
  ) => Promise<CountedDuplex>;
}

interface StageOptions extends ForwardOptions {
  readonly daemon?: FakeDaemonOptions;
  /** Decides about a request before it is forwarded; `true`: it was dealt with. */
  readonly intercept?: (request: FakeRequest) => boolean;
  /** Whether nobody listens on the port. */
  readonly closed?: boolean;
}

async function stage(options: StageOptions = {}): Promise<Stage> {
  const daemon = resources.use(await startFakeDaemon({ tls, ...options.daemon }));
  const forwards: FakeForward[] = [];
  const server = resources.use(
    await startFakeExecServer({
      intercept: (request) => {
        if (options.intercept?.(request) === true) return true;
        const to = options.closed === true ? undefined : daemon;
        forwards.push(new FakeForward(request, { ...options, to }));
        return true;
      },
    }),
  );
  const open: Stage['open'] = async (more = {}, signal = never) => {
    const target = { server: server.url, tls: {}, headers: { Authorization: 'Bearer t' } };
    const where = { target, namespace: 'ci', pod: 'p', tls: clientOf(), logger: nullLogger };
    const stream = await openPortForward({ ...where, ...more }, signal);
    resources.defer(() => {
      stream.on('error', () => undefined).destroy();
    });
    return stream;
  };
  return { server, daemon, forwards, open };
}

/** Reads so many bytes, and leaves the rest. */
async function read(stream: CountedDuplex, sizeBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let missing = sizeBytes;
  while (missing > 0) {
    const chunk = stream.read(Math.min(missing, stream.readableLength || 1)) as Buffer | null;
    if (chunk === null) await once(stream, 'readable');
    else {
      chunks.push(chunk);
      missing -= chunk.length;
    }
  }
  return Buffer.concat(chunks);
}

async function failureOf(opening: Promise<CountedDuplex>): Promise<unknown> {
  return opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

function refuse(request: FakeRequest, code: number, message: string): true {
  answer(request, `${code} Refused`, kubeStatus({ code, message }));
  return true;
}

describe.each(protocols)('a port forwarded over %s', (protocol: PortForwardProtocol) => {
  const only = { protocols: [protocol] };

  it('leads to the daemon, with mutual TLS inside', async () => {
    const { server, forwards, open } = await stage();
    const stream = await open(only);
    expect((await read(stream, greeting.length)).toString()).toBe(greeting);
    stream.write('hello');
    expect((await read(stream, 5)).toString()).toBe('hello');
    const [request] = server.requests;
    expect(request?.target).toBe(
      `/api/v1/namespaces/ci/pods/p/portforward${protocol === 'spdy' ? '' : '?ports=1234'}`,
    );
    expect(request?.headers.authorization).toBe('Bearer t');
    expect(forwards[0]?.violations).toEqual([]);
    expect(stream.bytesWritten).toBeGreaterThan(forwards[0]?.receivedBytes ?? Infinity);
  });

  it('carries bytes unchanged both ways, however they are cut', async () => {
    const { open } = await stage({ trickle: true });
    const stream = await open(only);
    await read(stream, greeting.length);
    const sent = randomBytes(40_000);
    stream.write(sent);
    expect((await read(stream, sent.length)).equals(sent)).toBe(true);
  });

  it('carries much in frames of moderate size', async () => {
    const { forwards, open } = await stage();
    const stream = await open(only);
    await read(stream, greeting.length);
    const block = randomBytes(1_000_000);
    const [sent, got] = [createHash('sha256'), createHash('sha256')];
    const writing = (async () => {
      for (let count = 0; count < 16; count += 1) {
        sent.update(block);
        if (!stream.write(block)) await once(stream, 'drain');
      }
    })();
    got.update(await read(stream, 16 * block.length));
    await writing;
    expect(got.digest('hex')).toBe(sent.digest('hex'));
    expect(forwards[0]?.violations).toEqual([]);
  });

  it('makes a writer wait for a daemon that does not read', async () => {
    const { open } = await stage({
      daemon: { serve: (socket) => void socket.write(greeting) },
    });
    const stream = await open(only);
    const block = Buffer.alloc(1_000_000);
    let taken = 0;
    const stopped = async (): Promise<boolean> => {
      if (stream.write(block)) return false;
      const drained = once(stream, 'drain').then(() => false);
      return Promise.race([drained, sleep(500).then(() => true)]);
    };
    // Sockets on the way take some.
    while (!(await stopped()) && taken < 100) taken += 1;
    expect(taken).toBeLessThan(100);
  });

  it('makes a daemon wait for a reader that does not read', async () => {
    let sentBytes = 0;
    const { open } = await stage({
      daemon: {
        serve: (socket) => {
          const block = Buffer.alloc(1_000_000);
          const more = (): void => {
            while (sentBytes < 200e6) {
              sentBytes += block.length;
              if (!socket.write(block)) break;
            }
          };
          socket.on('drain', more);
          more();
        },
      },
    });
    const stream = await open(only);
    let before = -1;
    while (before !== sentBytes) {
      before = sentBytes;
      await sleep(300);
    }
    expect(sentBytes).toBeLessThan(100e6);
    expect(stream.readableLength).toBeLessThan(1e6);
  });

  it('says that nobody listens yet, also when that comes in pieces', async () => {
    const complaint = ['error forwarding port 1234: connect: connec', 'tion refused'];
    const { open } = await stage({ closed: true, complaint });
    expect(await failureOf(open(only))).toMatchObject({
      code: 'CONNECTION_FAILED',
      kind: 'not-listening',
      message: 'nothing listens at port 1234 of pod ci/p',
    });
  });

  it('passes on what else the node says', async () => {
    const complaint = ['error forwarding port 1234: network namespace is closed'];
    const { open } = await stage({ closed: true, complaint });
    expect(await failureOf(open(only))).toMatchObject({
      code: 'CONNECTION_CLOSED',
      kind: 'passing',
      message: expect.stringContaining('network namespace is closed'),
    });
  });

  it('gives what came before its end, and then why it ended', async () => {
    const { forwards, open } = await stage();
    const stream = await open(only);
    stream.write('more');
    await until(() => stream.readableLength === greeting.length + 4);
    forwards[0]?.close();
    const failed = once(stream, 'error');
    expect((await read(stream, greeting.length + 4)).toString()).toBe(`${greeting}more`);
    stream.resume();
    expect(await failed).toMatchObject([{ code: 'CONNECTION_CLOSED' }]);
  });

  it('fails when the connection is cut', async () => {
    const { server, open } = await stage();
    const stream = await open(only);
    const failed = once(stream, 'error');
    server.sockets[0]?.resetAndDestroy();
    expect(await failed).toMatchObject([{ code: 'CONNECTION_CLOSED' }]);
  });

  it('fails when the server breaks the protocol', async () => {
    const { forwards, open } = await stage();
    const stream = await open(only);
    const failed = once(stream, 'error');
    forwards[0]?.raw(Buffer.from('ffffffffffffffffffff', 'hex'));
    expect(await failed).toMatchObject([
      { message: expect.stringContaining('broke the protocol') },
    ]);
  });

  it('fails when nobody answers its pings, and lives on while they are answered', async () => {
    const alive = await stage();
    const stream = await alive.open({ ...only, pingIntervalMs: 20 });
    await until(() => (alive.forwards[0]?.pings ?? 0) > 4);
    expect(stream.destroyed).toBe(false);
    const dead = await stage({ answerPings: false });
    const failed = once(await dead.open({ ...only, pingIntervalMs: 20 }), 'error');
    expect(await failed).toMatchObject([{ message: expect.stringContaining('no sign of life') }]);
  });

  it('leaves nothing open when it is destroyed', async () => {
    const { server, daemon, open } = await stage();
    (await open(only)).destroy();
    await until(() => server.sockets[0]?.destroyed === true && daemon.open.size === 0);
  });

  it('leaves nothing open when it is given up before it is there', async () => {
    const { server, daemon, open } = await stage({
      daemon: { serve: () => undefined },
    });
    const controller = new AbortController();
    const opening = failureOf(open(only, controller.signal));
    await until(() => daemon.connections === 1);
    controller.abort(new Error('enough'));
    expect(await opening).toMatchObject({ message: 'enough' });
    await until(() => server.sockets[0]?.destroyed === true && daemon.open.size === 0);
  });

  it('fails as it would have, when it ends while the certificates are still on their way', async () => {
    const { server, open } = await stage({ closed: true, complaint: ['connection refused'] });
    const certificates = Promise.withResolvers<TlsClient>();
    const opening = failureOf(open({ ...only, tls: certificates.promise }));
    await until(() => server.sockets[0]?.destroyed === true);
    certificates.resolve(clientOf());
    expect(await opening).toMatchObject({ kind: 'not-listening' });
  });

  it('leaves nothing open when there are no certificates after all', async () => {
    const { server, daemon, open } = await stage();
    const certificates = Promise.withResolvers<TlsClient>();
    const opening = failureOf(open({ ...only, tls: certificates.promise }));
    await until(() => daemon.connections === 1);
    certificates.reject(new Error('no right to read them'));
    expect(await opening).toMatchObject({ message: 'no right to read them' });
    await until(() => server.sockets[0]?.destroyed === true && daemon.open.size === 0);
  });

  it('tells an impostor by its certificate, and gives it nothing', async () => {
    const impostor = await makeBuilderTls('b', { validMs: 3_600_000 });
    const heard: Buffer[] = [];
    const { open } = await stage({
      daemon: {
        tls: { ca: tls.ca, cert: impostor.cert, key: impostor.key },
        serve: (socket) => socket.on('data', (data: Buffer) => heard.push(data)).write(greeting),
      },
    });
    expect(await failureOf(open(only))).toMatchObject({
      code: 'CONNECTION_REFUSED',
      kind: 'impossible',
      message: expect.stringContaining('not signed by the certificate authority expected'),
    });
    expect(heard).toEqual([]);
  });
});

describe('openPortForward', () => {
  it('takes WebSocket where something does not pass SPDY', async () => {
    const { server, open } = await stage({
      intercept: (request) => {
        if (request.headers.upgrade !== 'SPDY/3.1') return false;
        answer(request, '400 Bad Request', '<html><title>what?</title></html>');
        return true;
      },
    });
    const stream = await open();
    expect((await read(stream, greeting.length)).toString()).toBe(greeting);
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
  });

  it('takes WebSocket where only its verb is granted', async () => {
    const { open } = await stage({
      intercept: (request) => request.method === 'POST' && refuse(request, 403, 'no'),
    });
    expect((await read(await open(), greeting.length)).toString()).toBe(greeting);
  });

  it('says which rights are missing when none of its verbs is granted', async () => {
    const { server, open } = await stage({
      intercept: (request) => refuse(request, 403, 'pods "p" is forbidden: no portforward'),
    });
    expect(await failureOf(open())).toMatchObject({
      code: 'KUBE_FORBIDDEN',
      kind: 'impossible',
      httpStatus: 403,
      message: expect.stringContaining('no portforward'),
      hint: expect.stringContaining('"create" and "get" on "pods/portforward"'),
    });
    expect(server.requests).toHaveLength(2);
  });

  it.each([
    [401, 'Unauthorized', { code: 'KUBE_UNAUTHORIZED', kind: 'impossible' }, 2],
    [404, 'pods "p" not found', { code: 'CONNECTION_FAILED', kind: 'passing' }, 1],
    [500, 'error dialing backend', { code: 'CONNECTION_FAILED', kind: 'passing' }, 1],
    [429, 'too many requests', { code: 'CONNECTION_FAILED', kind: 'passing' }, 1],
    [400, 'Upgrade request required', { code: 'CONNECTION_REFUSED', kind: 'refused' }, 2],
  ])('reads an answer %s %s', async (code, message, expected, requests) => {
    const { server, open } = await stage({
      intercept: (request) => refuse(request, code, message),
    });
    expect(await failureOf(open())).toMatchObject({
      ...expected,
      message: expect.stringContaining(message),
    });
    expect(server.requests).toHaveLength(requests);
  });

  it('gives up one that is never answered', async () => {
    const { open } = await stage({ intercept: () => true });
    expect(await failureOf(open({ handshakeTimeoutMs: 50 }))).toMatchObject({
      code: 'CONNECTION_REFUSED',
      message: expect.stringContaining('no answer within 0.05 s'),
    });
  });
});
