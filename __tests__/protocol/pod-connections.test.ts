import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import {
  PodConnections,
  type PodConnectionsOptions,
} from '../../src/kubernetes/connection/pod-connections.ts';
import type { ReachedWay } from '../../src/kubernetes/connection/reached-way.ts';
import { KubernetesError } from '../../src/kubernetes/errors.ts';
import type { Pod } from '../../src/kubernetes/kube-objects.ts';
import { tlsKeys } from '../../src/kubernetes/manifests/configuration.ts';
import type { ConnectionKind } from '../../src/options/options.ts';
import type { CountedDuplex } from '../../src/shared/dialer.ts';
import { type Logger, nullLogger } from '../../src/shared/logger.ts';
import {
  type FakeDaemon,
  type FakeDaemonOptions,
  greeting,
  silence,
  startFakeDaemon,
} from '../fakes/fake-daemon.ts';
import {
  answer,
  exitStatus,
  type FakeExecPeer,
  type FakeExecServer,
  type FakeRequest,
  kubeStatus,
  startFakeExecServer,
  successStatus,
} from '../fakes/fake-exec-server.ts';
import { FakeForward } from '../fakes/fake-port-forward.ts';

const never = new AbortController().signal;
const tls = await makeBuilderTls('b', { validMs: 3_600_000 });
/** One of loopback that nothing else has, so that the port of daemons is free there. */
const address = '127.0.91.1';
const secret = 'w-tls';
let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

type ApiAnswer = 'works' | 'forbidden' | 'silent' | 'not-listening';

interface StageOptions {
  readonly kind?: ConnectionKind;
  readonly portForward?: ApiAnswer;
  readonly exec?: ApiAnswer;
  /** What `cat /etc/hosts` says. */
  readonly hosts?: string;
  readonly secretMissing?: boolean;
  /** Called when a port is to be forwarded. */
  readonly onPortForward?: () => void;
}

class Stage {
  readonly infos: string[] = [];
  readonly debugs: string[] = [];
  readonly connections: PodConnections;
  readonly server: FakeExecServer;
  /** Subresources that were asked for, in order; the command of an exec beside it. */
  get asked(): string[] {
    return this.server.requests.map(({ target }) => {
      const { pathname, searchParams } = new URL(target, 'http://x');
      return [pathname.split('/').at(-1), searchParams.get('command')].join(' ').trim();
    });
  }

  constructor(server: FakeExecServer, { kind = 'auto', secretMissing = false }: StageOptions) {
    this.server = server;
    const logger: Logger = {
      ...nullLogger,
      info: (line) => this.infos.push(line),
      debug: (line) => this.debugs.push(line),
    };
    const data = Object.fromEntries(
      Object.entries(tlsKeys).map(([field, key]) => [
        key,
        Buffer.from(tls[field as keyof typeof tls]).toString('base64'),
      ]),
    );
    const client = {
      resolveTarget: () => Promise.resolve({ server: server.url, tls: {}, headers: {} }),
      get: () =>
        secretMissing
          ? Promise.reject(new KubernetesError('KUBE_API_FAILED', 'no', { httpStatus: 404 }))
          : Promise.resolve({ object: { data } }),
    } as unknown as PodConnectionsOptions['client'];
    const where = { client, namespace: 'ci', builder: 'b', kind, logger };
    this.connections = new PodConnections(where);
  }

  async dial(pod: Pod, signal = never): Promise<CountedDuplex> {
    return this.keep(await this.connections.dialer(pod)(signal));
  }

  keep(stream: CountedDuplex): CountedDuplex {
    resources.defer(() => {
      stream.on('error', () => undefined).destroy();
    });
    return stream;
  }

  async failure(pod: Pod): Promise<unknown> {
    return this.dial(pod).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  }
}

async function stage(options: StageOptions = {}): Promise<Stage> {
  const { portForward = 'forbidden', exec = 'forbidden' } = options;
  const behind = resources.use(await startFakeDaemon({ tls }));
  const intercept = (request: FakeRequest): boolean => {
    const isExec = request.target.includes('/exec?');
    const how = isExec ? exec : portForward;
    const isLookUp = request.target.includes('command=cat');
    if (how === 'forbidden' && !(isLookUp && options.hosts !== undefined)) {
      const what = isExec ? 'exec' : 'portforward';
      answer(request, '403 Forbidden', kubeStatus({ code: 403, message: `no ${what} for you` }));
      return true;
    }
    if (how === 'silent') return true;
    if (isExec) return false;
    options.onPortForward?.();
    new FakeForward(request, { to: how === 'works' ? behind : undefined });
    return true;
  };
  const server = resources.use(await startFakeExecServer({ intercept }));
  void serveExecs(server, options);
  const made = new Stage(server, options);
  resources.defer(() => {
    made.connections[Symbol.dispose]();
  });
  return made;
}

async function serveExecs(server: FakeExecServer, options: StageOptions): Promise<never> {
  for (;;) serveExec(await server.nextPeer(), options);
}

function serveExec(peer: FakeExecPeer, { hosts = '', exec }: StageOptions): void {
  if (peer.request.target.includes('command=cat')) {
    peer.stdout(hosts);
    peer.status(successStatus);
    peer.close();
  } else if (exec === 'not-listening') {
    peer.stderr('no such file');
    peer.status(exitStatus(1));
    peer.close();
  } else peer.stdout(greeting);
}

interface PodOptions {
  readonly isReady?: boolean;
  /** `null`: not known yet. */
  readonly podIP?: string | null;
  readonly hasCertificates?: boolean;
}

function podOf({ isReady = true, podIP = address, hasCertificates = true }: PodOptions = {}): Pod {
  return {
    metadata: { name: 'p', uid: 'u' },
    spec: { volumes: hasCertificates ? [{ name: 'tls', secret: { secretName: secret } }] : [] },
    status: {
      ...(podIP === null ? {} : { podIP }),
      conditions: isReady ? [{ type: 'Ready', status: 'True' }] : [],
    },
  };
}

async function listen(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  return resources.use(await startFakeDaemon({ tls, host: address, port: 1234, ...options }));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

async function firstBytes(stream: CountedDuplex): Promise<string> {
  if (stream.readableLength === 0) await once(stream, 'readable');
  return String(stream.read());
}

const hostsFile = `# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n${address}\tp\n`;
const direct = { way: 'direct', pod: 'p', secret, address } as const;

describe('connection: auto', () => {
  it('goes directly where that works, and asks the API server for nothing', async () => {
    await listen();
    const set = await stage();
    expect(await firstBytes(await set.dial(podOf()))).toBe(greeting);
    expect(set.connections.reached).toEqual(direct);
    expect(set.infos).toEqual([`Connection to pod p: direct to ${address}`]);
    expect(set.asked).toEqual([]);
  });

  it('takes port-forward beside an address that swallows everything, and gives that up', async () => {
    const daemon = await listen({ tls: undefined!, serve: silence });
    const set = await stage({ portForward: 'works' });
    expect(await firstBytes(await set.dial(podOf()))).toBe(greeting);
    expect(set.connections.reached).toEqual({ way: 'port-forward', pod: 'p', secret });
    expect(set.infos).toEqual([
      'Connection to pod p: port-forward; not direct: it did not get through in time',
    ]);
    await until(() => daemon.open.size === 0);
  });

  it('takes port-forward where nothing listens at the address of a pod that is ready', async () => {
    const set = await stage({ portForward: 'works' });
    await set.dial(podOf());
    expect(set.infos).toEqual([
      `Connection to pod p: port-forward; not direct: nothing listens at ${address}:1234`,
    ]);
  });

  it('gives nothing to an impostor, and takes port-forward', async () => {
    const impostor = await makeBuilderTls('b', { validMs: 3_600_000 });
    const heard: Buffer[] = [];
    await listen({
      tls: { ca: tls.ca, cert: impostor.cert, key: impostor.key },
      serve: (socket) => socket.on('data', (data: Buffer) => heard.push(data)).write(greeting),
    });
    const set = await stage({ portForward: 'works' });
    await set.dial(podOf());
    expect(set.infos).toEqual([expect.stringContaining('is not this builder')]);
    expect(heard).toEqual([]);
  });

  it('takes exec where port-forward is not allowed, and says why', async () => {
    const set = await stage({ exec: 'works' });
    expect(await firstBytes(await set.dial(podOf()))).toBe(greeting);
    expect(set.connections.reached).toEqual({ way: 'exec', pod: 'p' });
    expect(set.infos).toEqual([
      expect.stringMatching(
        /^Connection to pod p: exec; not direct: nothing listens .*; not port-forward: .*HTTP 403: no portforward for you$/,
      ),
    ]);
  });

  it('takes exec beside a port-forward that hangs, and gives that up', async () => {
    const set = await stage({ portForward: 'silent', exec: 'works' });
    expect(await firstBytes(await set.dial(podOf()))).toBe(greeting);
    expect(set.connections.reached?.way).toBe('exec');
    await until(() => set.server.sockets[0]?.destroyed === true);
  });

  it('names all ways when none leads there', async () => {
    const set = await stage();
    expect(await set.failure(podOf())).toMatchObject({
      code: 'KUBE_FORBIDDEN',
      kind: 'impossible',
      message: expect.stringMatching(
        /no way leads .* direct: nothing listens .* port-forward: .*no portforward.* exec: .*no exec/s,
      ),
      hint: expect.stringContaining('pods/exec'),
    });
  });

  it('keeps hoping for a daemon that has just started, though exec is not allowed', async () => {
    const set = await stage();
    const dialing = set.dial(podOf({ isReady: false }));
    await sleep(100);
    await listen();
    expect(await firstBytes(await dialing)).toBe(greeting);
    expect(set.connections.reached).toEqual(direct);
  });

  it('leaves port-forward and exec out while a pod that starts answers', async () => {
    const set = await stage({ portForward: 'works', exec: 'works' });
    const dialing = set.dial(podOf({ isReady: false }));
    await sleep(600);
    await listen();
    await dialing;
    expect(set.connections.reached).toEqual(direct);
    expect(set.asked).toEqual([]);
  });

  it('looks once more at the address when another way was first to find the daemon', async () => {
    // Between two tries of direct, which come every 100 ms by then.
    const set = await stage({ portForward: 'works', onPortForward: () => void listen() });
    await set.dial(podOf({ isReady: false }));
    expect(set.asked).toEqual(['portforward']);
    expect(set.connections.reached).toEqual(direct);
  });

  it('asks a pod that has just started for its address', async () => {
    const set = await stage({ hosts: hostsFile });
    const dialing = set.dial(podOf({ isReady: false, podIP: null }));
    await until(() => set.debugs.some((line) => line.includes(address)));
    await listen();
    await dialing;
    expect(set.connections.reached).toEqual(direct);
    expect(set.asked).toEqual(['exec cat']);
  });

  it('does without the address where the pod does not say it', async () => {
    const set = await stage({ hosts: '127.0.0.1 localhost\n', portForward: 'works' });
    await set.dial(podOf({ isReady: false, podIP: null }));
    expect(set.connections.reached?.way).toBe('port-forward');
  });

  it('takes exec alone where the pod has no certificates, or the user no right to read them', async () => {
    const daemon = await listen();
    const none = await stage({ exec: 'works' });
    await none.dial(podOf({ hasCertificates: false }));
    const unreadable = await stage({ exec: 'works', secretMissing: true });
    await unreadable.dial(podOf());
    for (const set of [none, unreadable]) {
      expect(set.asked).toEqual(['exec buildctl']);
      expect(set.infos).toEqual([]);
      expect(set.connections.reached).toEqual({ way: 'exec', pod: 'p' });
    }
    expect(none.debugs).toContainEqual(expect.stringContaining('pod p has no certificates'));
    expect(unreadable.debugs).toContainEqual(expect.stringContaining('there is no Secret w-tls'));
    expect(daemon.connections).toBe(0);
  });

  it('leaves nothing open when it is given up', async () => {
    const daemon = await listen({ serve: () => undefined });
    const set = await stage({ portForward: 'silent', exec: 'silent' });
    const controller = new AbortController();
    const dialing = set.dial(podOf(), controller.signal);
    await until(() => set.server.sockets.length === 2 && daemon.open.size === 1);
    controller.abort(new Error('enough'));
    await expect(dialing).rejects.toThrow('enough');
    await until(() => set.server.sockets.every(({ destroyed }) => destroyed));
    await until(() => daemon.open.size === 0);
  });
});

describe('a chosen connection', () => {
  it('is the only one: direct', async () => {
    const set = await stage({ kind: 'direct', portForward: 'works', exec: 'works' });
    expect(await set.failure(podOf())).toMatchObject({
      kind: 'not-listening',
      message: `nothing listens at ${address}:1234`,
    });
    await listen();
    await set.dial(podOf());
    expect(set.connections.reached).toEqual(direct);
    expect(set.asked).toEqual([]);
  });

  it('is the only one: port-forward', async () => {
    const daemon = await listen();
    const set = await stage({ kind: 'port-forward', exec: 'works' });
    expect(await set.failure(podOf())).toMatchObject({ code: 'KUBE_FORBIDDEN' });
    const allowed = await stage({ kind: 'port-forward', portForward: 'works' });
    await allowed.dial(podOf());
    expect(allowed.connections.reached?.way).toBe('port-forward');
    expect(daemon.connections).toBe(0);
  });

  it('is the only one: exec', async () => {
    const daemon = await listen();
    const set = await stage({ kind: 'exec', exec: 'works', portForward: 'works' });
    await set.dial(podOf());
    expect(set.connections.reached).toEqual({ way: 'exec', pod: 'p' });
    expect(daemon.connections).toBe(0);
  });

  it.each(['direct', 'port-forward'] as const)('says that %s needs certificates', async (kind) => {
    const set = await stage({ kind, exec: 'works' });
    expect(await set.failure(podOf({ hasCertificates: false }))).toMatchObject({
      code: 'CONNECTION_REFUSED',
      kind: 'impossible',
      message: 'pod p has no certificates to be reached by',
      hint: expect.stringContaining('connection: exec'),
    });
  });
});

describe('the way of an earlier step', () => {
  const early = async (set: Stage, reached: ReachedWay): Promise<CountedDuplex> =>
    set.keep(await set.connections.earlyDialer(reached)!(never));

  it('is taken at once', async () => {
    await listen();
    const set = await stage({ portForward: 'works', exec: 'works' });
    await early(set, direct);
    expect(set.connections.reached).toEqual(direct);
    await early(set, { way: 'port-forward', pod: 'p', secret });
    expect(set.connections.reached?.way).toBe('port-forward');
    await early(set, { way: 'exec', pod: 'p' });
    expect(set.connections.reached?.way).toBe('exec');
    expect(set.infos).toEqual([]);
  });

  it('fails where it is closed, for the others to be tried', async () => {
    const set = await stage({ portForward: 'works', exec: 'works' });
    await expect(early(set, direct)).rejects.toMatchObject({ kind: 'not-listening' });
    expect(set.connections.reached).toBeUndefined();
    expect(set.asked).toEqual([]);
  });

  it('is not taken when another one was chosen since', async () => {
    const set = await stage({ kind: 'port-forward' });
    expect(set.connections.earlyDialer(direct)).toBeUndefined();
    expect(set.connections.earlyDialer({ way: 'port-forward', pod: 'p', secret })).toBeDefined();
  });
});

describe('answers', () => {
  it('looks along any way and keeps nothing open', async () => {
    const daemon = await listen();
    const set = await stage();
    let isReached = false;
    await set.connections.answers(podOf(), never, () => {
      isReached = true;
    });
    expect(isReached).toBe(true);
    await until(() => daemon.open.size === 0);
    expect(set.infos).toEqual([]);
    await daemon[Symbol.asyncDispose]();
    await expect(set.connections.answers(podOf(), never, () => undefined)).rejects.toThrow(
      'no way leads',
    );
  });
});
