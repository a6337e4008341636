import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { findCluster } from '../../scripts/find-cluster.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { Lease, Pod } from '../../src/kubernetes/kube-objects.ts';
import { claimSelector } from '../../src/kubernetes/leases/lease-object.ts';
import { liveLeases } from '../../src/kubernetes/leases/live-leases.ts';
import type { Claim } from '../../src/kubernetes/leases/pod-claim.ts';
import { PodClaims, type PodClaimsOptions } from '../../src/kubernetes/leases/pod-claims.ts';
import { builderLabels, stayAnnotations } from '../../src/kubernetes/manifests/labels.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { type Logger, nullLogger } from '../../src/shared/logger.ts';
import { Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { clientFrom } from '../helpers/builder-options.ts';

const cluster = findCluster();
const never = new AbortController().signal;
const quiet = { beatMs: 1_000_000, durationSeconds: 2 };

let playground: Playground;
let client: KubeClient;
let namespace: string;
const claims: Claim[] = [];
const clients: KubeClient[] = [];

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  namespace = playground.namespace;
  client = await clientFrom(cluster.kubeconfig);
}, 30_000);

afterEach(async () => {
  await Promise.all(claims.splice(0).map((claim) => claim[Symbol.asyncDispose]()));
  for (const each of clients.splice(0)) each[Symbol.dispose]();
});

afterAll(async () => {
  client[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
}, 30_000);

/** Pods that no node takes: all that Leases need of a pod is that there is one. */
async function makePods(builder: string, count: number): Promise<Pod[]> {
  const names = Array.from({ length: count }, (_item, index) => `${builder}-${index}`);
  const made = names.map((name) =>
    client.create(
      'pods',
      {
        namespace,
        manifest: {
          metadata: { name, labels: builderLabels(builder) },
          spec: {
            nodeSelector: { nowhere: 'at-all' },
            containers: [{ name: 'buildkitd', image: 'none' }],
          },
        } as { metadata: { name: string } },
      },
      never,
    ),
  );
  return (await Promise.all(made)).map(({ object }) => object);
}

interface Run {
  readonly lines: string[];
  claim(signal?: AbortSignal): Promise<Claim>;
}

function run(pods: readonly Pod[], changes: Partial<PodClaimsOptions> = {}): Run {
  const lines: string[] = [];
  const tell = (line: string): void => {
    lines.push(line);
  };
  const logger: Logger = { ...nullLogger, info: tell, warning: tell };
  const builder = pods[0]?.metadata.labels?.['app.kubernetes.io/instance'] ?? '';
  const own = PodClaims.open({
    client,
    namespace,
    builder,
    workload: `${builder}-linux-amd64`,
    strategy: 'sticky',
    keys: { affinityKey: 'acme/app', buildxKey: '/work' },
    maxBuildsPerPod: 0,
    queueTimeoutMs: 60_000,
    holder: { repository: 'acme/app', runId: '7', runUrl: 'https://ci/7', jobId: 'abc' },
    logger,
    notices: new Notices(logger),
    ...changes,
  });
  return {
    lines,
    claim: async (signal = never) => {
      const claim = await own.claim({ pods: () => pods, onChange: () => () => undefined }, signal);
      claims.push(claim);
      await claim.registered;
      return claim;
    },
  };
}

async function leasesOf(builder: string): Promise<readonly Lease[]> {
  const labelSelector = claimSelector(builder);
  return (await client.list('leases', { namespace, labelSelector }, never)).items;
}

async function annotationsOf(pod: string): Promise<Readonly<Record<string, string>>> {
  const { object } = await client.get('pods', { namespace, name: pod }, never);
  return object.metadata.annotations ?? {};
}

/** Fails after a while rather than never. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = Date.now() + 25_000;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error(`not yet: ${condition.toString()}`);
    await sleep(50);
  }
}

const nameOf = ({ pod }: Claim): string => pod.metadata.name;

describe('claims on pods', () => {
  it('are Leases while builds run, and mark the pod meanwhile', async () => {
    const pods = await makePods('one', 1);
    const first = await run(pods).claim();
    const second = await run(pods).claim();
    const live = await liveLeases(client, { namespace, builder: 'one' }, never);
    expect(live).toMatchObject([
      { kind: 'build', repository: 'acme/app', runId: '7', podUid: pods[0]!.metadata.uid },
      { kind: 'build' },
    ]);
    await first[Symbol.asyncDispose]();
    expect(await annotationsOf('one-0')).toMatchObject(stayAnnotations);
    await second[Symbol.asyncDispose]();
    expect(Object.keys(await annotationsOf('one-0'))).toEqual([]);
    expect(await leasesOf('one')).toEqual([]);
  });

  it('go to the same pod for the same repository, and only those of a lost pod move', async () => {
    const pods = await makePods('four', 4);
    const repositories = Array.from({ length: 8 }, (_item, index) => `acme/repository-${index}`);
    const place = async (among: readonly Pod[], affinityKey: string): Promise<string> => {
      const claim = await run(among, { keys: { affinityKey, buildxKey: '' } }).claim();
      await claim[Symbol.asyncDispose]();
      return nameOf(claim);
    };
    const before = new Map<string, string>();
    for (const round of [1, 2, 3]) {
      for (const key of repositories) {
        const pod = await place(pods, key);
        if (round > 1) expect(pod).toBe(before.get(key));
        before.set(key, pod);
      }
    }
    const lost = before.get(repositories[0]!);
    const left = pods.filter(({ metadata }) => metadata.name !== lost);
    for (const key of repositories) {
      const pod = await place(left, key);
      if (before.get(key) === lost) expect(pod).not.toBe(lost);
      else expect(pod).toBe(before.get(key));
    }
  }, 30_000);

  it('never exceed the slots with 32 runs at once, and all get their turn', async () => {
    const pods = await makePods('crowd', 2);
    const running: Claim[] = [];
    const all = Array.from({ length: 32 }, async () => {
      running.push(await run(pods, { maxBuildsPerPod: 2 }).claim());
    });
    for (let done = 0; done < all.length; done += 4) {
      await until(() => running.length === 4);
      const names = running.map(nameOf).sort();
      expect(names).toEqual(['crowd-0', 'crowd-0', 'crowd-1', 'crowd-1']);
      await Promise.all(running.splice(0).map((claim) => claim[Symbol.asyncDispose]()));
    }
    await Promise.all(all);
    expect(await leasesOf('crowd')).toEqual([]);
  }, 60_000);

  it('tell those who wait their place, let them in by their order and go on being cancelled', async () => {
    const pods = await makePods('queue', 1);
    const limit = { maxBuildsPerPod: 1 };
    const first = await run(pods, limit).claim();
    const [two, three, four] = [run(pods, limit), run(pods, limit), run(pods, limit)];
    const cancel = new AbortController();
    const second = two.claim();
    await until(() => two.lines.length > 0);
    const third = three.claim(cancel.signal);
    await until(() => three.lines.length > 0);
    const fourth = four.claim();
    await until(() => four.lines.length > 0);
    expect([two, three, four].map(({ lines }) => lines[0]?.split(':')[0])).toEqual(
      ['1st', '2nd', '3rd'].map((place) => `${place} in the queue for builder queue`),
    );
    cancel.abort(new Error('cancelled'));
    await expect(third).rejects.toThrow('cancelled');
    await until(() => four.lines.length > 1);
    expect(four.lines[1]).toBe(
      '2nd in the queue for builder queue: its 1 slot is held by acme/app (run 7)',
    );
    await first[Symbol.asyncDispose]();
    await (await second)[Symbol.asyncDispose]();
    expect(nameOf(await fourth)).toBe('queue-0');
  }, 30_000);

  it('expire by the clock of the server, whatever their holder says', async () => {
    const pods = await makePods('lost', 1);
    const limit = { maxBuildsPerPod: 1 };
    await run(pods, { ...limit, timing: quiet }).claim();
    const [lease] = await leasesOf('lost');
    const renewTime = new Date(Date.now() + 3_600_000).toISOString().replace('Z', '000Z');
    const at = { namespace, name: lease!.metadata.name, patch: { spec: { renewTime } } };
    await client.patch('leases', at, never);
    const next = run(pods, limit);
    const claim = await next.claim();
    expect(next.lines[0]).toBe(
      '1st in the queue for builder lost: its 1 slot is held by acme/app (run 7)',
    );
    const [held, ...more] = await leasesOf('lost');
    expect(more).toEqual([]);
    expect(held?.metadata.uid).not.toBe(lease?.metadata.uid);
    // The end of the lost build leaves the new one its slot.
    await claims[0]![Symbol.asyncDispose]();
    expect((await leasesOf('lost'))[0]?.metadata.uid).toBe(held?.metadata.uid);
    await claim[Symbol.asyncDispose]();
  }, 30_000);

  it('that somebody takes over are his, which is said', async () => {
    const pods = await makePods('thief', 1);
    const timing = { beatMs: 100, durationSeconds: 40 };
    const victim = run(pods, { timing });
    const claim = await victim.claim();
    const [lease] = await leasesOf('thief');
    const { name } = lease!.metadata;
    const patch = { metadata: { annotations: null }, spec: { holderIdentity: 'somebody' } };
    await client.patch('leases', { namespace, name, patch }, never);
    await until(() => victim.lines.length > 1);
    expect(victim.lines[1]).toMatch(/^somebody \(run 7\) has taken the place of this build/);
    await claim[Symbol.asyncDispose]();
    expect((await leasesOf('thief'))[0]?.spec?.holderIdentity).toBe('somebody');
  });

  it('go with their pod', async () => {
    const pods = await makePods('gone', 1);
    await run(pods, { timing: quiet }).claim();
    const { name, uid } = pods[0]!.metadata;
    await client.remove('pods', { namespace, name, uid }, never);
    await until(async () => (await leasesOf('gone')).length === 0);
    // A pod that comes under its name is another one, and not to be marked for the old one.
    await makePods('gone', 1);
    await run(pods).claim();
    expect(await annotationsOf(name)).toEqual({});
  }, 30_000);
});

describe('rights', () => {
  const leases = (...verbs: string[]): Rule => ({
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs,
  });
  const pods = (...verbs: string[]): Rule => ({ apiGroups: [''], resources: ['pods'], verbs });
  const linesWith = async (builder: string, ...rules: Rule[]): Promise<string[]> => {
    const limited = await clientFrom(await playground.kubeconfigWithRules(rules));
    clients.push(limited);
    const user = run(await makePods(builder, 1), { client: limited, maxBuildsPerPod: 1 });
    const claim = await user.claim();
    await claim[Symbol.asyncDispose]();
    return user.lines;
  };

  it('on Leases and pods are all it takes, and each costs a line where it is missing', async () => {
    const all = ['list', 'watch', 'get', 'create', 'patch', 'delete'];
    const full = await linesWith('full', leases(...all), pods('get', 'patch'));
    const none = await linesWith('none', pods('get', 'patch'));
    const unmarked = await linesWith('unmarked', leases(...all));
    expect(full).toEqual(['Pod full-0, the only one']);
    expect(none).toEqual([
      expect.stringContaining('max-builds-per-pod is not kept: no right to list leases'),
      'Pod none-0, the only one',
    ]);
    expect(unmarked).toEqual([
      'Pod unmarked-0, the only one',
      'No right to patch pods: an autoscaler may move a pod while it builds.',
    ]);
    expect(await leasesOf('full')).toEqual([]);
  }, 30_000);
});
