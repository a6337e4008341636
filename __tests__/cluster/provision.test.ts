import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';

import { findCluster } from '../../scripts/find-cluster.ts';
import {
  type Builder,
  type BuilderState,
  bootstrap,
  type JobIdentity,
} from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { builderSelector } from '../../src/kubernetes/manifests/labels.ts';
import { groupOf } from '../../src/kubernetes/preflight/access.ts';
import { type Removal, removeBuilder } from '../../src/kubernetes/teardown.ts';
import type { BuilderOptions, KubernetesDriverOptions } from '../../src/options/options.ts';
import type { Dialer } from '../../src/shared/dialer.ts';
import type { Logger } from '../../src/shared/logger.ts';
import { Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';
import { type ReadmeRight, readReadmeRights } from '../helpers/readme-rights.ts';

const cluster = findCluster();
const never = new AbortController().signal;

/** Rules of the README's rows that `wanted` keeps. */
function readmeRules(wanted: (right: ReadmeRight) => boolean): Rule[] {
  return readReadmeRights()
    .filter(wanted)
    .map(({ resource, verbs }) => ({
      apiGroups: [groupOf(resource)],
      resources: [resource],
      verbs,
    }));
}

const isLoss = (line: string): boolean => line.startsWith('No right');

/** What a run without configuration needs, and nothing of what we would like beside it. */
const neededRules = readmeRules(
  ({ isHard, occasion }) => isHard && ['to build', 'to create the builder'].includes(occasion),
);

let playground: Playground;
let lines: string[];
let client: KubeClient;
let builders: Builder[];
let states: BuilderState[];

beforeEach(async () => {
  playground = await Playground.create({ cluster });
  lines = [];
  builders = [];
  states = [];
  client = await clientFrom(cluster.kubeconfig);
}, 30_000);

afterEach(async () => {
  for (const builder of builders) await builder[Symbol.asyncDispose]();
  client[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
}, 30_000);

const logger: Logger = {
  debug: () => undefined,
  info: (line) => lines.push(line),
  notice: (line) => lines.push(line),
  warning: (line) => lines.push(line),
  startGroup: () => undefined,
  endGroup: () => undefined,
};

interface Changes {
  readonly driver?: Partial<KubernetesDriverOptions>;
  readonly builder?: Partial<BuilderOptions>;
  readonly job?: Partial<JobIdentity>;
  readonly affinityKey?: string;
}

async function start(changes: Changes = {}): Promise<Builder> {
  const options = builderOptions({
    maxLifetimeMs: 3_600_000,
    ...changes.builder,
    driver: {
      namespace: playground.namespace,
      image: cluster.image ?? 'moby/buildkit:buildx-stable-1',
      timeoutMs: 60_000,
      ...changes.driver,
    },
  });
  const builder = await bootstrap({
    client,
    builder: options,
    job: testJob(changes.job),
    affinityKey: changes.affinityKey ?? 'acme/app',
    buildxKey: '/work',
    logger,
    signal: never,
    onNamed: (state) => {
      states.push(state);
    },
  });
  builders.push(builder);
  return builder;
}

/** Resolves with the first bytes that the daemon sends: the settings of its HTTP/2. */
async function greet(dial: Dialer, signal: AbortSignal): Promise<Buffer> {
  const stream = await dial(signal);
  try {
    const closed = once(stream, 'close').then(() => {
      throw new Error('closed before the daemon spoke');
    });
    const [bytes] = (await Promise.race([once(stream, 'data', { signal }), closed])) as [Buffer];
    return bytes;
  } finally {
    stream.on('error', () => undefined).destroy();
  }
}

const connect = (builder: Builder): Promise<Buffer> => builder.connect(greet, never);
const remove = (state: BuilderState | undefined): Promise<Removal> =>
  removeBuilder(client, state!, { signal: never, logger });

/** The failure of a builder that cannot come, after its objects were removed. */
async function failureOf(changes: Changes): Promise<unknown> {
  const failure = await start(changes)
    .then(connect)
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  await remove(states[0]);
  expect(await playground.left()).toEqual([]);
  return failure;
}

describe('a builder', () => {
  it('answers, and leaves nothing when it is removed', async () => {
    const inline = 'debug = true\n[registry."r.example"]\n  http = true\n';
    const builder = await start({ builder: { buildkitdConfigInline: inline } });
    expect(builder.created).toBe(true);
    // A SETTINGS frame: the daemon itself has spoken.
    expect((await connect(builder)).at(3)).toBe(4);
    const { items } = await client.list(
      'pods',
      { namespace: playground.namespace, labelSelector: builderSelector(builder.state.name) },
      never,
    );
    expect(items.map(({ metadata }) => metadata.name)).toEqual([builder.podName]);
    const { namespace, name } = builder.state;
    const deadline = async (): Promise<number | undefined> =>
      (await client.get('jobs', { namespace, name }, never)).object.spec?.activeDeadlineSeconds;
    expect(await deadline()).toBe(300);
    await builder.settle(never);
    expect(await deadline()).toBeGreaterThan(3590);
    expect(await remove(builder.state)).toBe('removed');
    expect(await playground.left()).toEqual([]);
  }, 60_000);

  it('is found again by a later step of the job, and removed only by the step that made it', async () => {
    const job = { jobId: randomUUID().slice(0, 8) };
    const first = await start({ job });
    await connect(first);
    await first.settle(never);
    const second = await start({ job });
    expect([first.created, second.created]).toEqual([true, false]);
    await connect(second);
    expect(second.podName).toBe(first.podName);
    expect(await remove(second.state)).toBe('nothing');
    expect(await connect(second)).toBeDefined();
    expect(await remove(first.state)).toBe('removed');
    expect(await playground.left()).toEqual([]);
  }, 60_000);

  it('is another one for other options', async () => {
    const job = { jobId: randomUUID().slice(0, 8) };
    const [one, two] = await Promise.all([
      start({ job }),
      start({ job, driver: { limits: { cpu: '2' } } }),
    ]);
    expect(one.state.name).not.toBe(two.state.name);
    expect([one.created, two.created]).toEqual([true, true]);
  }, 60_000);

  it('is made once by steps that start together', async () => {
    const job = { jobId: randomUUID().slice(0, 8) };
    const all = await Promise.all([start({ job }), start({ job }), start({ job })]);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    await Promise.all(all.map(connect));
    expect(new Set(all.map(({ podName }) => podName)).size).toBe(1);
  }, 60_000);

  it('is made anew while the one before is still being deleted', async () => {
    const job = { jobId: randomUUID().slice(0, 8) };
    const first = await start({ job });
    await connect(first);
    const { namespace, name } = first.state;
    const { object } = await client.get('jobs', { namespace, name }, never);
    await client.remove('jobs', { namespace, name, uid: object.metadata.uid }, never);
    const second = await start({ job });
    expect(second.created).toBe(true);
    await connect(second);
    expect(second.podName).not.toBe(first.podName);
  }, 60_000);

  it('expires by itself, with all that belongs to it', async () => {
    const builder = await start({
      builder: { maxLifetimeMs: 8_000, buildkitdConfigInline: 'debug = true' },
    });
    await connect(builder);
    await builder.settle(never);
    await sleep(8_000);
    expect(await playground.left()).toEqual([]);
  }, 60_000);

  it('prefers the same pod for the same key', async () => {
    const job = { jobId: randomUUID().slice(0, 8) };
    const driver = { replicas: 3 };
    const reach = async (affinityKey: string): Promise<string | undefined> => {
      const builder = await start({ job, driver, affinityKey });
      await connect(builder);
      return builder.podName;
    };
    const before = await reach('acme/app');
    const others = await Promise.all(['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'].map(reach));
    expect(await reach('acme/app')).toBe(before);
    expect(new Set(others).size).toBeGreaterThan(1);
  }, 90_000);

  it('loses nothing with the documented Role', async () => {
    const role = parse(readFileSync('docs/rbac/provision.yaml', 'utf8')) as { rules: Rule[] };
    client[Symbol.dispose]();
    client = await clientFrom(await playground.kubeconfigWithRules(role.rules));
    const builder = await start({ builder: { buildkitdConfigInline: 'debug = true' } });
    await connect(builder);
    await builder.settle(never);
    expect(await remove(builder.state)).toBe('removed');
    expect(lines.filter(isLoss)).toEqual([]);
    expect(await playground.left()).toEqual([]);
  }, 60_000);

  it('loses nothing with all rights that the README lists', async () => {
    client[Symbol.dispose]();
    client = await clientFrom(await playground.kubeconfigWithRules(readmeRules(() => true)));
    const builder = await start({ builder: { buildkitdConfigInline: 'debug = true' } });
    await connect(builder);
    await builder.settle(never);
    expect(await remove(builder.state)).toBe('removed');
    expect(lines.filter(isLoss)).toEqual([]);
  }, 60_000);

  it.each([
    ['no configuration', neededRules, undefined],
    [
      'configuration',
      [
        ...neededRules,
        ...readmeRules(({ isHard, occasion }) => isHard && occasion.includes('configuration')),
      ],
      'debug = true',
    ],
  ])(
    'does with the rights that are needed with %s, and says what is lost',
    async (_, rules, inline) => {
      client[Symbol.dispose]();
      client = await clientFrom(await playground.kubeconfigWithRules(rules));
      const builder = await start({ builder: { buildkitdConfigInline: inline } });
      expect(builder.created).toBe(true);
      expect(builder.expiry).toBe('it does not expire by itself, for lack of rights on jobs');
      await connect(builder);
      expect(lines).toEqual([
        'No right to create, get jobs: a builder whose runner is lost does not expire by itself.',
        'No right to watch pods: pods are polled, so their changes are seen later.',
        'No right to list, watch deployments or list, watch replicasets: refusals by quota and policy may be seen only as a timeout.',
        'No right to create pods or list resourcequotas or list limitranges: that the namespace refuses the pods is seen only once they do not come.',
        'No right to list, watch events: what the scheduler and the node say about the pods is not shown.',
        'No right to get pods: why a builder was lost may not be told.',
        'No right to get pods/log: the last lines of a daemon that ends are not shown.',
        'No right to get, create, delete secrets or get, create pods/portforward: the connection may have to go by exec, which is slower.',
        `Created builder ${builder.state.name} in namespace ${playground.namespace}`,
      ]);
      await builder.settle(never);
      expect(await remove(builder.state)).toBe('removed');
      expect(await playground.left()).toEqual([]);
    },
    60_000,
  );

  it('lives its whole life from the start where a Job may be made but not prolonged', async () => {
    const rules = readmeRules(() => true).map((rule) => ({
      ...rule,
      verbs: rule.verbs.filter((verb) => verb !== 'patch'),
    }));
    client[Symbol.dispose]();
    client = await clientFrom(
      await playground.kubeconfigWithRules(rules.filter(({ verbs }) => verbs.length > 0)),
    );
    const builder = await start();
    await connect(builder);
    const { namespace, name } = builder.state;
    const { object } = await client.get('jobs', { namespace, name }, never);
    expect(object.spec?.activeDeadlineSeconds).toBe(3600);
    expect(builder.expiry).toMatch(/^it expires at \d{4}-\d\d-\d\dT[\d:]+Z at the latest$/);
    await builder.settle(never);
    expect(lines.filter(isLoss)).toEqual([
      'No right to patch jobs: a builder whose runner is lost lives its whole max-lifetime.',
    ]);
    expect(await remove(builder.state)).toBe('removed');
    expect(await playground.left()).toEqual([]);
  }, 60_000);
});

describe('a builder that cannot come', () => {
  it('names the image that cannot be pulled', async () => {
    const image = `${cluster.registry}/no/such/image:1`;
    expect(await failureOf({ driver: { image } })).toMatchObject({
      code: 'BUILDER_IMAGE_PULL',
      message: expect.stringMatching(/no\/such\/image:1 cannot be pulled: .*not found/s),
    });
  }, 60_000);

  it('names an image that is none', async () => {
    expect(await failureOf({ driver: { image: 'UPPER//case' } })).toMatchObject({
      code: 'BUILDER_IMAGE_PULL',
      message: expect.stringContaining('InvalidImageName'),
    });
  }, 60_000);

  it('names what no node fits', async () => {
    const platforms = [{ os: 'linux', architecture: 's390x', variant: '' }];
    expect(await failureOf({ builder: { platforms } })).toMatchObject({
      code: 'BUILDER_UNSCHEDULABLE',
      message: expect.stringMatching(
        /^no node for linux\/s390x: 0\/\d+ nodes: \d+ wrong architecture$/,
      ),
    });
  }, 60_000);

  it('says what was waited for when time is up', async () => {
    const driver = { requests: { memory: '4000Gi' }, timeoutMs: 3_000, timeoutIsExplicit: true };
    expect(await failureOf({ driver })).toMatchObject({
      code: 'BUILDER_TIMEOUT',
      message: expect.stringMatching(/did not start within 3 s: no node: .*not enough memory/),
      hint: expect.stringContaining('requests'),
    });
  }, 60_000);

  it('shows the last lines of a daemon that ends', async () => {
    const changes = { builder: { buildkitdConfigInline: 'root = 5\n' } };
    expect(await failureOf(changes)).toMatchObject({
      code: 'BUILDER_CRASHED',
      message: expect.stringMatching(
        /buildkitd ended with exit code 1 .*last lines:\n.*Config\.Root/s,
      ),
    });
  }, 60_000);

  it('names the quota that is used up', async () => {
    await playground.core.createNamespacedResourceQuota({
      namespace: playground.namespace,
      body: { metadata: { name: 'small' }, spec: { hard: { 'requests.memory': '100Mi' } } },
    });
    expect(await failureOf({})).toMatchObject({
      code: 'BUILDER_QUOTA',
      message: expect.stringMatching(
        /quota "small" has 100Mi of 100Mi requests\.memory left, and the builder asks for 512Mi$/,
      ),
    });
  }, 60_000);

  it('names Pod Security where it refuses a privileged pod', async () => {
    await playground.core.patchNamespace({
      name: playground.namespace,
      body: [
        {
          op: 'add',
          path: '/metadata/labels/pod-security.kubernetes.io~1enforce',
          value: 'baseline',
        },
      ],
    });
    expect(await failureOf({})).toMatchObject({
      code: 'BUILDER_REFUSED',
      message: expect.stringMatching(/violates PodSecurity "baseline:latest": privileged/),
      hint: expect.stringContaining('pod-security.kubernetes.io/enforce=privileged'),
    });
  }, 60_000);

  it('names a namespace that is not there', async () => {
    await expect(start({ driver: { namespace: 'not-there' } })).rejects.toMatchObject({
      code: 'NAMESPACE_MISSING',
      message: 'namespace "not-there" not found',
    });
  });

  it('names all rights that are missing, and has created nothing', async () => {
    client[Symbol.dispose]();
    const listOnly = neededRules.filter(({ resources }) => resources.includes('pods'));
    client = await clientFrom(await playground.kubeconfigWithRules(listOnly));
    await expect(start()).rejects.toMatchObject({
      code: 'KUBE_FORBIDDEN',
      message: expect.stringMatching(
        /: create or get pods\/exec, get deployments, create deployments, delete deployments$/,
      ),
    });
    expect(await playground.left()).toEqual([]);
  });
});

describe('a builder that is lost', () => {
  it('was deleted', async () => {
    const builder = await start();
    await connect(builder);
    const { namespace } = playground;
    const name = builder.podName ?? '';
    const lost = builder.podLost(never);
    await playground.core.deleteNamespacedPod({ name, namespace });
    expect(await lost).toMatchObject({ code: 'BUILDER_LOST', message: `pod ${name} was deleted` });
    expect((await builder.explainLoss(never, new Error('ECONNRESET'))).message).toMatch(/deleted/);
  }, 60_000);

  it('has ended', async () => {
    const builder = await start();
    await connect(builder);
    const { openExecStream } = await import('../../src/kubernetes/exec/open-exec-stream.ts');
    const stream = await openExecStream({
      target: await client.resolveTarget(never),
      namespace: playground.namespace,
      pod: builder.podName ?? '',
      container: 'buildkitd',
      command: ['kill', '1'],
      signal: never,
    });
    stream.on('error', () => undefined).resume();
    expect(await builder.podLost(never)).toMatchObject({
      code: 'BUILDER_LOST',
      message: expect.stringMatching(/^buildkitd in pod .* ended with exit code \d+/),
    });
    expect((await builder.explainLoss(never, new Error('ECONNRESET'))).message).toMatch(
      /ended with exit code/,
    );
  }, 60_000);

  it('is not lost when only the connection was cut', async () => {
    const builder = await start();
    await connect(builder);
    const cause = new Error('ECONNRESET');
    expect(await builder.explainLoss(never, cause)).toMatchObject({
      message: `pod ${builder.podName ?? ''} is still running: the connection was cut`,
      cause,
    });
  }, 60_000);
});
