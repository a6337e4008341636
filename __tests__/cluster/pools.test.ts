import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { findCluster } from '../../scripts/find-cluster.ts';
import { bootstrap, type Builder } from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { KubeTree } from '../../src/kubernetes/kube-objects.ts';
import { cleanUpBuilder, type Removal } from '../../src/kubernetes/teardown.ts';
import type { BuilderOptions, KubernetesDriverOptions } from '../../src/options/options.ts';
import type { Dialer } from '../../src/shared/dialer.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { Playground } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';

const cluster = findCluster();
const image = cluster.image ?? 'moby/buildkit:buildx-stable-1';
const never = new AbortController().signal;

let playground: Playground;
let client: KubeClient;
let namespace: string;
let lines: string[] = [];
const builders: Builder[] = [];
const logger = { ...nullLogger, info: (line: string) => lines.push(line) };

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  namespace = playground.namespace;
  client = await clientFrom(cluster.kubeconfig);
});

afterEach(async () => {
  await Promise.all(builders.splice(0).map((builder) => builder[Symbol.asyncDispose]()));
  lines = [];
});

afterAll(async () => {
  client[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
});

type Changes = Omit<Partial<BuilderOptions>, 'driver'> & {
  readonly driver?: Partial<KubernetesDriverOptions>;
};

/** What a step of a job does: each call is another job unless `jobId` says otherwise. */
async function start(changes: Changes, jobId = randomUUID().slice(0, 8)): Promise<Builder> {
  const driver = { namespace, image, timeoutMs: 60_000, ...changes.driver };
  const builder = await bootstrap({
    client,
    builder: builderOptions({ connection: 'exec', ...changes, driver }),
    job: testJob({ jobId }),
    affinityKey: 'acme/app',
    buildxKey: '/work',
    logger,
    signal: never,
    onNamed: () => undefined,
  });
  builders.push(builder);
  return builder;
}

/** Resolves once the daemon has spoken, with the name of its pod. */
async function connect(builder: Builder): Promise<string> {
  const greet = async (dial: Dialer, signal: AbortSignal): Promise<void> => {
    const stream = await dial(signal);
    await once(stream, 'data', { signal });
    stream.on('error', () => undefined).destroy();
  };
  await builder.connect(greet, never);
  return builder.podName ?? '';
}

const cleanUp = ({ state }: Builder): Promise<Removal> =>
  cleanUpBuilder(client, state, { signal: never, logger });

const deploymentOf = async ({ state }: Builder) =>
  (await client.get('deployments', { namespace, name: state.workload }, never)).object;

function containerOf(workload: { readonly spec?: { readonly template?: KubeTree } }): KubeTree {
  const { spec } = workload.spec?.template as { spec: { containers: KubeTree[] } };
  return spec.containers[0] ?? {};
}

describe('a pool', () => {
  it('is made once by 32 runs that ask for it at once, and stays when they end', async () => {
    const pool = { name: 'crowd', cleanup: false };
    const all = await Promise.all(Array.from({ length: 32 }, () => start(pool)));
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    const pods = await Promise.all(all.slice(0, 3).map(connect));
    expect(new Set(pods).size).toBe(1);
    const workload = await deploymentOf(all[0]!);
    expect(workload.metadata.ownerReferences).toMatchObject([{ kind: 'ConfigMap', name: 'crowd' }]);
    expect(await Promise.all(all.map(cleanUp))).toEqual(all.map(() => 'left'));
    const budget = { namespace, name: all[0]!.state.workload };
    await expect(client.get('poddisruptionbudgets', budget, never)).resolves.toBeDefined();
  }, 90_000);

  it('takes up what is asked for anew, and says what differs', async () => {
    const pool = { name: 'drift', cleanup: false };
    const changes = { ...pool, buildkitdFlags: ['--debug'], driver: { env: { FOO: 'bar' } } };
    const first = await start(pool);
    const before = await connect(first);
    await start(changes);
    expect(lines.join('\n')).toMatch(
      /left as it is while it is used by acme\/app .*\n.*args\[--debug\]: unset → set\n.*unset → FOO/,
    );
    await first[Symbol.asyncDispose]();
    const changed = await start(changes);
    expect(lines.join('\n')).toMatch(
      /applied:\n.*args\[--debug\]: unset → set\n.*env\[FOO\].*unset → bar/s,
    );
    expect(containerOf(await deploymentOf(changed))).toMatchObject({
      env: expect.arrayContaining([{ name: 'FOO', value: 'bar' }]),
    });
    expect(await connect(changed)).not.toBe(before);
    lines = [];
    await start(changes);
    expect(lines.join('\n')).not.toContain('differs');
    const stateVolume = {
      kind: 'claim',
      storage: '1Gi',
      storageClass: undefined,
      accessMode: 'ReadWriteOnce',
    } as const;
    await start({ ...changes, driver: { ...changes.driver, stateVolume } });
    expect(lines.join('\n')).toContain('left as it is, with no claimed volumes');
  }, 90_000);

  it('grows at once', async () => {
    const pool = { name: 'growing', cleanup: false };
    await start(pool);
    const grown = await start({ ...pool, driver: { replicas: 2 } });
    expect(lines.join('\n')).toContain('replicas: 1 → 2');
    expect((await deploymentOf(grown)).spec?.replicas).toBe(2);
  }, 60_000);

  it('of buildx is used and never changed', async () => {
    const name = 'peer0';
    const labels = { app: name };
    const template = {
      metadata: { labels },
      spec: { containers: [{ name: 'buildkitd', image, securityContext: { privileged: true } }] },
    };
    await playground.apps.createNamespacedDeployment({
      namespace,
      body: {
        metadata: { name, labels, annotations: { 'buildx.docker.com/platform': 'linux/amd64' } },
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      },
    });
    const versionOf = async (builder: Builder): Promise<number | undefined> =>
      (await playground.apps.readNamespacedDeployment({ namespace, name: builder.state.workload }))
        .metadata?.generation;
    const builder = await start({ name: 'peer', driver: { env: { FOO: 'bar' } } });
    expect(await connect(builder)).toMatch(/^peer0-/);
    expect(lines).toContain(
      `Found builder peer in namespace ${namespace}, made by buildx: it is used as it is`,
    );
    expect(await cleanUp(builder)).toBe('left');
    expect(await versionOf(builder)).toBe(1);
  }, 60_000);
});

describe('a builder with a name', () => {
  it('is removed by the last job that uses it', async () => {
    const first = await start({ name: 'shared' });
    const second = await start({ name: 'shared' });
    expect([first.created, second.created]).toEqual([true, false]);
    expect(await cleanUp(first)).toBe('held');
    await connect(second);
    expect(await cleanUp(second)).toBe('removed');
  }, 60_000);

  it('is left alone by who would remove it, if it is a pool', async () => {
    await start({ name: 'kept-pool', cleanup: false });
    const guest = await start({ name: 'kept-pool' });
    expect(await cleanUp(guest)).toBe('nothing');
    expect((await deploymentOf(guest)).metadata.deletionTimestamp).toBeUndefined();
  }, 60_000);

  it('sleeps with its state, and is woken up', async () => {
    const kept = { name: 'sleeper', keepState: true };
    const first = await start(kept);
    await connect(first);
    expect(await cleanUp(first)).toBe('stopped');
    expect((await deploymentOf(first)).spec?.replicas).toBe(0);
    const second = await start(kept);
    expect(second.created).toBe(false);
    await connect(second);
    expect((await deploymentOf(second)).spec?.replicas).toBe(1);
  }, 60_000);

  it('must be there where `builder` names it', async () => {
    await expect(start({ name: 'nowhere', mustExist: true })).rejects.toMatchObject({
      code: 'BUILDER_MISSING',
      message: `there is no builder "nowhere" in namespace "${namespace}"`,
    });
  }, 60_000);

  it('is not taken for a workload that somebody else made', async () => {
    const labels = { role: 'theirs' };
    await playground.apps.createNamespacedDeployment({
      namespace,
      body: {
        metadata: { name: 'theirs-linux-amd64', labels },
        spec: {
          replicas: 0,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: 'x', image }] } },
        },
      },
    });
    await expect(start({ name: 'theirs' })).rejects.toMatchObject({ code: 'BUILDER_REFUSED' });
  }, 60_000);
});

describe('a builder of a vanished job', () => {
  it('is swept by the next run where no owner makes it expire', async () => {
    const orphan = await start({}, 'vanished');
    const { name, workload } = orphan.state;
    await orphan[Symbol.asyncDispose]();
    await playground.apps.patchNamespacedDeployment({
      namespace,
      name: workload,
      body: [
        { op: 'remove', path: '/metadata/ownerReferences' },
        {
          op: 'add',
          path: '/metadata/annotations/kube-buildx-action~1max-lifetime-seconds',
          value: '0',
        },
      ],
    });
    await start({}, 'sweeping');
    const line = `Removed builder ${name} of a vanished job: its max-lifetime is over`;
    for (let attempt = 0; !lines.includes(line) && attempt < 100; attempt += 1) await sleep(100);
    expect(lines).toContain(line);
    await expect(
      client.get('deployments', { namespace, name: workload }, never),
    ).rejects.toMatchObject({ httpStatus: 404 });
  }, 60_000);
});
