import { afterEach, describe, expect, it } from '@jest/globals';
import type { Duplex } from 'node:stream';
import type { ApiTarget, ResolveApiTarget } from '../../src/kubernetes/api-target.ts';
import { connectWhenStarted } from '../../src/kubernetes/connect.ts';
import { execInDaemon } from '../../src/kubernetes/connection/exec.ts';
import { EarlyDial } from '../../src/kubernetes/early-dial.ts';
import { openExecStream } from '../../src/kubernetes/exec/open-exec-stream.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { FavouritePicker } from '../../src/kubernetes/pod-picker.ts';
import { Rollout } from '../../src/kubernetes/rollout.ts';
import type { CountedDuplex, Dialer } from '../../src/shared/dialer.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { openConnection } from '../../src/with-builder.ts';
import {
  answer,
  type FakeExecOptions,
  type FakeExecServer,
  exitStatus,
  startFakeExecServer,
} from '../fakes/fake-exec-server.ts';
import { FakeKubeApi, json } from '../fakes/fake-kube-api.ts';

const never = new AbortController().signal;
const name = 'kbx-a-linux-1';
let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

interface Stage {
  readonly server: FakeExecServer;
  readonly dial: Dialer;
  /** What was dialed so far, in order. */
  readonly dialed: Promise<CountedDuplex>[];
}

async function stage(options: FakeExecOptions = {}): Promise<Stage> {
  const server = resources.use(await startFakeExecServer(options));
  const dialed: Promise<CountedDuplex>[] = [];
  const dial: Dialer = (signal) => {
    const stream = openExecStream({
      target: { server: server.url, tls: {}, headers: {} },
      namespace: 'ci',
      pod: name,
      container: 'buildkitd',
      command: ['buildctl', 'dial-stdio'],
      signal,
    });
    dialed.push(stream);
    return stream;
  };
  resources.defer(async () => {
    for (const each of await Promise.allSettled(dialed)) {
      if (each.status === 'fulfilled') each.value.destroy();
    }
  });
  return { server, dial, dialed };
}

/** Not by `once`, which would listen to errors. */
async function ended(stream: Duplex): Promise<void> {
  while (!stream.destroyed) await new Promise(setImmediate);
}

/** Ends an exec as `dial-stdio` does while its daemon does not listen yet. */
async function failNext({ server }: Stage): Promise<void> {
  const peer = await server.nextPeer();
  peer.stderr('dial unix /run/buildkit/buildkitd.sock: no such file');
  peer.status(exitStatus(1));
  peer.close();
}

describe('a stream that nobody listens to', () => {
  it('may fail without ending the process', async () => {
    const set = await stage();
    const stream = await set.dial(never);
    await failNext(set);
    await ended(stream);
    expect(stream.errored).toMatchObject({ code: 'EXEC_FAILED' });
  });

  it('fails the connection that is made of it with its own error', async () => {
    const set = await stage();
    const failing: Dialer = async (signal) => {
      const stream = await set.dial(signal);
      await failNext(set);
      await ended(stream);
      return stream;
    };
    await expect(openConnection(failing, never)).rejects.toMatchObject({
      code: 'EXEC_FAILED',
      message: expect.stringContaining('buildkitd.sock: no such file'),
    });
  });
});

describe('EarlyDial', () => {
  it('hands out its stream once, and only for its pod', async () => {
    const set = await stage();
    using early = new EarlyDial(name, set.dial);
    expect(early.take('another', set.dial)).toBeUndefined();
    const stream = await early.take(name, set.dial)?.(never);
    expect(stream).toBe(await set.dialed[0]);
    expect(early.take(name, set.dial)).toBeUndefined();
    early[Symbol.dispose]();
    expect(stream?.destroyed).toBe(false);
    expect(set.server.requests).toHaveLength(1);
  });

  it('closes what nobody took', async () => {
    const set = await stage();
    const early = new EarlyDial(name, set.dial);
    const peer = await set.server.nextPeer();
    early[Symbol.dispose]();
    await ended(peer.socket);
  });

  it('dials anew when the stream has failed meanwhile', async () => {
    const set = await stage();
    using early = new EarlyDial(name, set.dial);
    await failNext(set);
    await ended(await set.dialed[0]!);
    const stream = await early.take(name, set.dial)?.(never);
    expect(stream).toBe(await set.dialed[1]);
    expect(stream?.destroyed).toBe(false);
  });

  it('dials anew when the pod was gone', async () => {
    let refused = 0;
    const set = await stage({
      intercept: (request) => {
        refused += 1;
        if (refused === 1) answer(request, '404 Not Found', '{"kind":"Status","code":404}');
        return refused === 1;
      },
    });
    using early = new EarlyDial(name, set.dial);
    expect((await early.take(name, set.dial)?.(never))?.destroyed).toBe(false);
  });

  it('ends with the attempt when it hangs', async () => {
    const set = await stage({ intercept: () => true });
    using early = new EarlyDial(name, set.dial);
    const attempt = new AbortController();
    const taken = early.take(name, set.dial)?.(attempt.signal);
    while (set.server.requests.length === 0) await new Promise(setImmediate);
    attempt.abort(new Error('silent'));
    await expect(taken).rejects.toThrow('silent');
    await ended(set.server.sockets[0]!);
    expect(set.dialed).toHaveLength(1);
  });
});

describe('connectWhenStarted', () => {
  async function startedPod(): Promise<Omit<Parameters<typeof connectWhenStarted>[0], 'open'>> {
    const status = {
      phase: 'Running',
      containerStatuses: [{ name: 'buildkitd', restartCount: 0, state: { running: {} } }],
    };
    const pod = { metadata: { name, uid: 'u', resourceVersion: '1' }, status };
    const api = resources.use(
      await FakeKubeApi.start((request, response) => {
        if (request.query.get('watch') === '1') response.writeHead(200).flushHeaders();
        else json(response, 200, { metadata: { resourceVersion: '1' }, items: [pod] });
      }),
    );
    const client = resources.use(createKubeClient(api.config(), {}));
    const rollout = resources.use(
      new Rollout({
        client,
        namespace: 'ci',
        builder: 'kbx-a',
        selector: 'app.kubernetes.io/instance=x',
        wanted: { image: 'moby/buildkit:x', platform: 'linux/arm64', limits: {} },
        replicas: 1,
        affinityKey: 'k',
        timeoutMs: 30_000,
        timeoutIsExplicit: false,
        notices: new Notices(nullLogger),
        logger: nullLogger,
      }),
    );
    rollout.followPods();
    const dialer = (): Dialer => () => Promise.reject(new Error('not dialed'));
    const picker = new FavouritePicker(rollout);
    return { rollout, picker, logger: nullLogger, dialer, early: undefined };
  }

  it('renews the credentials that an exec was refused with', async () => {
    const set = await stage({
      intercept: (request) => {
        const isOld = request.headers.authorization === 'Bearer old';
        if (isOld) answer(request, '401 Unauthorized', '');
        return isOld;
      },
    });
    const target = (token: string): ApiTarget => ({
      server: set.server.url,
      tls: {},
      headers: { Authorization: `Bearer ${token}` },
    });
    const resolveTarget: ResolveApiTarget = (_signal, refused) =>
      Promise.resolve(target(refused === undefined ? 'old' : 'new'));
    const where = { client: { resolveTarget }, namespace: 'ci', pod: name, logger: nullLogger };
    const stream = await execInDaemon(where, ['true'], never);
    expect(stream.destroyed).toBe(false);
    stream.destroy();
  });

  it('tries again when the stream fails just after it was opened', async () => {
    const set = await stage();
    const early = new EarlyDial(name, async (signal) => {
      const stream = await set.dial(signal);
      setTimeout(() => void failNext(set), 20);
      return stream;
    });
    let attempts = 0;
    const open = async (dial: Dialer, signal: AbortSignal): Promise<string> => {
      attempts += 1;
      if (attempts > 1) return 'reached';
      // As long as loading what makes a connection of it takes.
      const stream = await dial(signal);
      await ended(stream);
      return (await openConnection(() => Promise.resolve(stream), signal)).version;
    };
    const options = { ...(await startedPod()), early, open };
    await expect(connectWhenStarted(options, never)).resolves.toMatchObject({ value: 'reached' });
    expect(attempts).toBe(2);
  });
});
