import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import type { Lease, Pod } from '../../src/kubernetes/kube-objects.ts';
import { liveLeases } from '../../src/kubernetes/leases/live-leases.ts';
import type { Claim } from '../../src/kubernetes/leases/pod-claim.ts';
import { PodClaims, type PodClaimsOptions } from '../../src/kubernetes/leases/pod-claims.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { type Logger, nullLogger } from '../../src/shared/logger.ts';
import { FakeLeaseApi } from '../fakes/fake-lease-api.ts';

jest.setTimeout(20_000);

const never = new AbortController().signal;
const safeToEvict = 'cluster-autoscaler.kubernetes.io/safe-to-evict';

let fake: FakeLeaseApi;
let clients: KubeClient[];
let claims: Claim[];

beforeEach(async () => {
  fake = await FakeLeaseApi.start();
  clients = [];
  claims = [];
});

afterEach(async () => {
  fake.refusal = () => undefined;
  await Promise.all(claims.map((claim) => claim[Symbol.asyncDispose]()));
  for (const client of clients) client[Symbol.dispose]();
  await fake[Symbol.asyncDispose]();
});

interface Run {
  readonly lines: string[];
  readonly warnings: string[];
  claim(signal?: AbortSignal): Promise<Claim>;
}

/** One run that uses the pool. */
function run(name: string, changes: Partial<PodClaimsOptions> = {}): Run {
  const client = createKubeClient(fake.api.config(), {});
  clients.push(client);
  const lines: string[] = [];
  const warnings: string[] = [];
  const logger: Logger = {
    ...nullLogger,
    info: (line) => lines.push(line),
    warning: (line) => warnings.push(line),
  };
  const own = PodClaims.open({
    client,
    namespace: 'ci',
    builder: 'pool',
    workload: 'pool-linux-amd64',
    strategy: 'sticky',
    keys: { affinityKey: 'acme/app', buildxKey: '/work' },
    maxBuildsPerPod: 0,
    queueTimeoutMs: 60_000,
    holder: { repository: `acme/${name}`, runId: '7', runUrl: '', jobId: name },
    logger,
    notices: new Notices(logger),
    ...changes,
  });
  const source = { pods: () => [...fake.pods.values()], onChange: () => () => undefined };
  return {
    lines,
    warnings,
    claim: async (signal = never) => {
      const claim = await own.claim(source, signal);
      claims.push(claim);
      await claim.registered;
      return claim;
    },
  };
}

const release = async (claim: Claim): Promise<void> => {
  await claim[Symbol.asyncDispose]();
};
const nameOf = ({ pod }: Claim): string => pod.metadata.name;
const annotationsOf = (pod: string) => fake.pods.get(pod)?.metadata.annotations ?? {};
const queue = (): Lease[] => [...fake.leases.values()].filter(isTicket);
const builds = (): Lease[] => [...fake.leases.values()].filter((lease) => !isTicket(lease));

function isTicket({ metadata }: Lease): boolean {
  return metadata.name.includes('-queue-');
}

/** Fails after a while rather than never. */
async function until(condition: () => boolean): Promise<void> {
  const endsAt = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > endsAt) throw new Error(`not yet: ${condition.toString()}`);
    await sleep(5);
  }
}

/** What the claim of a run that waits comes to. */
function waiting(of: Run, signal?: AbortSignal) {
  const outcome: { claim?: Claim; failure?: unknown } = {};
  const done = of.claim(signal).then(
    (claim) => (outcome.claim = claim),
    (failure: unknown) => (outcome.failure = failure),
  );
  return { outcome, done };
}

// By sha256 the key acme/app prefers p-a, then p-c.
const addPods = (...names: string[]): Pod[] => names.map((name) => fake.addPod(name));

describe('a claim', () => {
  it('is a Lease of the pod while the build runs, and six calls', async () => {
    addPods('p-a', 'p-b');
    const app = run('app');
    const claim = await app.claim();
    expect(app.lines).toEqual(['Pod p-a of 2: the favourite of acme/app']);
    const [lease] = builds();
    expect(lease).toMatchObject({
      metadata: {
        labels: {
          'app.kubernetes.io/instance': 'pool',
          'kube-buildx-action/claim': 'build',
          'kube-buildx-action/job-id': 'app',
          'kube-buildx-action/run-id': '7',
        },
        annotations: { 'kube-buildx-action/repository': 'acme/app' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p-a', uid: 'uid-p-a00000' }],
      },
      spec: { leaseDurationSeconds: 40 },
    });
    expect(lease?.spec?.holderIdentity).toMatch(/^acme\/app\/7\/app\/\w{12}$/);
    expect(annotationsOf('p-a')).toMatchObject({
      [safeToEvict]: 'false',
      'karpenter.sh/do-not-disrupt': 'true',
    });

    await release(claim);
    expect(fake.leases.size).toBe(0);
    expect(annotationsOf('p-a')).toEqual({});
    expect(fake.calls).toEqual([
      'GET leases',
      'POST leases',
      'PATCH pods',
      'DELETE leases',
      'GET leases',
      'PATCH pods',
    ]);
  });

  it('goes on to the next pod when the favourite has more than its share', async () => {
    addPods('p-a', 'p-b', 'p-c', 'p-d');
    // One build of four pods may have 1.25 × 2 / 4, rounded up: one.
    expect(nameOf(await run('one').claim())).toBe('p-a');
    const two = run('two');
    expect(nameOf(await two.claim())).toBe('p-c');
    expect(two.lines).toEqual([
      'Pod p-c of 4: p-a, the favourite of acme/app, has 1 of 1 running builds',
    ]);
    const busy = run('busy', { strategy: 'least-busy' });
    expect(nameOf(await busy.claim())).toBe('p-d');
    expect(busy.lines).toEqual(['Pod p-d of 4: the least busy']);
  });

  it('does not count what the builds of other nodes and of lost runs have left', async () => {
    addPods('p-a', 'p-b', 'p-c', 'p-d');
    await run('one').claim();
    fake.advance(41_000);
    expect(nameOf(await run('two').claim())).toBe('p-a');
  });

  it('deletes what lost builds left long ago', async () => {
    addPods('p-a');
    await run('one').claim();
    fake.advance(41_000);
    await run('two').claim();
    expect(builds().length).toBe(2);
    fake.advance(300_000);
    await run('three').claim();
    expect(builds().map(({ metadata }) => metadata.labels?.['kube-buildx-action/job-id'])).toEqual([
      'two',
      'three',
    ]);
  });

  it('keeps the marks of the pod until the last one has gone', async () => {
    addPods('p-a');
    const [first, second] = [await run('one').claim(), await run('two').claim()];
    await release(first);
    expect(annotationsOf('p-a')[safeToEvict]).toBe('false');
    await release(second);
    expect(annotationsOf('p-a')).toEqual({});
  });

  it('leaves the marks to a build that came while it looked for others', async () => {
    addPods('p-a');
    const first = await run('one').claim();
    const other = run('two');
    let second: Promise<Claim> | undefined;
    fake.onRequest = ({ method, path }) => {
      // No other Lease has been found; the next call takes the marks off.
      if (method === 'GET' && path.endsWith('/leases') && builds().length === 0) {
        fake.onRequest = () => undefined;
        fake.hold(
          (request) => request.body.includes('null'),
          () => second!,
        );
        second = other.claim();
      }
    };
    await release(first);
    await second;
    expect(fake.calls.filter((call) => call === 'PATCH pods').length).toBe(3);
    expect(annotationsOf('p-a')[safeToEvict]).toBe('false');
  });

  it('leaves alone a pod that is not ours, and marks that its owner made', async () => {
    fake.addPod('p-a', { labels: { app: 'pool0' } });
    await release(await run('one').claim());
    fake.pods.clear();
    fake.addPod('p-b', { annotations: { [safeToEvict]: 'false' } });
    await release(await run('two').claim());
    expect(annotationsOf('p-b')).toEqual({ [safeToEvict]: 'false' });
    expect(fake.calls).not.toContain('PATCH pods');
  });

  it('takes as many calls in a pool of 200 pods that are all in use', async () => {
    const pods = Array.from({ length: 200 }, (_item, index) => fake.addPod(`p-${index}`));
    for (const { metadata } of pods) {
      const [lease] = builds();
      if (lease === undefined) await run('one', { strategy: 'least-busy' }).claim();
      else {
        const { uid } = metadata;
        const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid }];
        const name = `of-${metadata.name}`;
        const copied = { ...lease.metadata, name, uid: `lease-${uid}`, ownerReferences };
        fake.leases.set(name, { ...lease, metadata: copied });
      }
    }
    const before = fake.calls.length;
    await release(await run('two').claim());
    expect(fake.calls.length - before).toBeLessThanOrEqual(6);
    expect(builds().length).toBe(200);
  });

  it('waits for a pod, and until then can be cancelled', async () => {
    const cancel = new AbortController();
    const { outcome, done } = waiting(run('one'), cancel.signal);
    await sleep(20);
    cancel.abort(new Error('cancelled'));
    await done;
    expect(outcome.failure).toEqual(new Error('cancelled'));
  });
});

describe('slots', () => {
  const limited = (name: string, changes: Partial<PodClaimsOptions> = {}): Run =>
    run(name, { maxBuildsPerPod: 1, ...changes });

  it('sends a build elsewhere when its favourite is full', async () => {
    addPods('p-a', 'p-c');
    expect(nameOf(await limited('one').claim())).toBe('p-a');
    const two = limited('two', { strategy: 'sticky' });
    expect(nameOf(await two.claim())).toBe('p-c');
    expect(two.lines).toEqual(['Pod p-c of 2: p-a, the favourite of acme/app, has no free slot']);
  });

  it('counts the builds of runs that set no limit', async () => {
    addPods('p-a', 'p-c');
    expect(nameOf(await run('free').claim())).toBe('p-a');
    expect(nameOf(await limited('one').claim())).toBe('p-c');
    const { outcome, done } = waiting(limited('two', { queueTimeoutMs: 100 }));
    await done;
    expect(outcome.failure).toMatchObject({ code: 'QUEUE_TIMEOUT' });
  });

  it('lets those who wait in by their order, and tells them their place', async () => {
    addPods('p-a');
    const first = await limited('one').claim();
    const two = limited('two');
    const second = waiting(two);
    await until(() => queue().length === 1 && two.lines.length > 0);
    const three = limited('three');
    const third = waiting(three);
    await until(() => queue().length === 2 && three.lines.length > 0);
    expect(two.lines).toEqual([
      '1st in the queue for builder pool: its 1 slot is held by acme/one (run 7)',
    ]);
    expect(three.lines).toEqual([
      '2nd in the queue for builder pool: its 1 slot is held by acme/one (run 7)',
    ]);

    await release(first);
    await second.done;
    await until(() => three.lines.length > 1);
    expect(third.outcome).toEqual({});
    expect(three.lines.at(-1)).toBe(
      '1st in the queue for builder pool: its 1 slot is held by acme/two (run 7)',
    );
    await release(second.outcome.claim!);
    await third.done;
    expect(nameOf(third.outcome.claim!)).toBe('p-a');
    expect(queue()).toEqual([]);
  });

  it('lets nobody overtake who comes when a slot is free', async () => {
    addPods('p-a');
    const first = await limited('one').claim();
    const second = waiting(limited('two'));
    await until(() => queue().length === 1);
    // The slot is free, but those in the queue have not heard.
    const [lease] = builds();
    fake.leases.delete(lease!.metadata.name);
    const third = waiting(limited('three'));
    await until(() => queue().length === 2);
    await sleep(50);
    expect(builds()).toEqual([]);
    // Now they hear.
    fake.leases.set(lease!.metadata.name, lease!);
    await release(first);
    await second.done;
    expect(third.outcome).toEqual({});
    await release(second.outcome.claim!);
    await third.done;
    expect(nameOf(third.outcome.claim!)).toBe('p-a');
  });

  it('never has a build too many, however many start at once', async () => {
    addPods('p-a', 'p-b', 'p-c');
    const running: Claim[] = [];
    const all = Array.from({ length: 32 }, async (_item, index) => {
      running.push(await limited(`n${index}`, { maxBuildsPerPod: 2 }).claim());
    });
    for (let done = 0; done < all.length; done += 1) {
      await until(() => running.length === Math.min(6, all.length - done));
      const perPod = running.map(nameOf).sort();
      if (all.length - done >= 6)
        expect(perPod).toEqual(['p-a', 'p-a', 'p-b', 'p-b', 'p-c', 'p-c']);
      expect(builds().length).toBe(running.length);
      await release(running.shift()!);
    }
    await Promise.all(all);
    expect(fake.leases.size).toBe(0);
  });

  it('lets who gives up leave the queue at once', async () => {
    addPods('p-a');
    await limited('one').claim();
    const cancel = new AbortController();
    const { outcome, done } = waiting(limited('two'), cancel.signal);
    await until(() => queue().length === 1);
    cancel.abort(new Error('cancelled'));
    await done;
    expect(outcome.failure).toEqual(new Error('cancelled'));
    expect(queue()).toEqual([]);
  });

  it('passes over those in the queue who crashed, and takes the slot of a lost build', async () => {
    addPods('p-a');
    await limited('lost', { timing: { beatMs: 1e6, durationSeconds: 40 } }).claim();
    const crashed = waiting(limited('crashed', { timing: { beatMs: 1e6, durationSeconds: 40 } }));
    await until(() => queue().length === 1);
    fake.advance(41_000);
    const next = limited('next');
    const claim = await next.claim();
    expect(nameOf(claim)).toBe('p-a');
    expect(builds().map(({ spec }) => spec?.holderIdentity?.split('/')[1])).toEqual(['next']);
    // That it had only been asleep: it goes to the end of nothing, and waits.
    expect(crashed.outcome).toEqual({});
    await release(claim);
    await crashed.done;
  });

  it('says who holds the slots when the wait is over', async () => {
    addPods('p-a');
    await limited('one').claim();
    const { outcome, done } = waiting(limited('two', { queueTimeoutMs: 200 }));
    await done;
    expect(outcome.failure).toMatchObject({
      code: 'QUEUE_TIMEOUT',
      message:
        'no free slot on builder pool within 0 s: still 1st in the queue for builder pool; ' +
        'its 1 slot is held by acme/one (run 7)',
    });
    expect(queue()).toEqual([]);
  });
});

describe('clocks', () => {
  /** Changes when a Lease was renewed, as the server and as the holder have it. */
  const renewed = (serverAgoMs: number, holderAgoMs: number): void => {
    const [lease] = builds();
    const at = (agoMs: number): string => new Date(fake.nowMs - agoMs).toISOString();
    fake.leases.set(lease!.metadata.name, {
      ...lease!,
      metadata: { ...lease!.metadata, managedFields: [{ time: at(serverAgoMs) }] },
      spec: { ...lease!.spec, renewTime: at(holderAgoMs) },
    });
  };
  const takes = async (): Promise<boolean> => {
    const { outcome, done } = waiting(run('two', { maxBuildsPerPod: 1, queueTimeoutMs: 150 }));
    await done;
    return outcome.claim !== undefined;
  };

  it.each([5 * 60_000, -5 * 60_000])('of a runner that is %i ms off do not matter', async (off) => {
    fake.advance(off);
    addPods('p-a');
    await run('one', { maxBuildsPerPod: 1 }).claim();
    expect(Date.parse(builds()[0]?.spec?.renewTime ?? '') - fake.nowMs).toBeGreaterThan(-2_000);
    expect(Date.parse(builds()[0]?.spec?.renewTime ?? '') - fake.nowMs).toBeLessThan(2_000);
    expect(await takes()).toBe(false);
    fake.advance(41_000);
    expect(await takes()).toBe(true);
  });

  it('of a holder that are off do not matter', async () => {
    addPods('p-a');
    await run('one', { maxBuildsPerPod: 1 }).claim();
    renewed(5_000, 300_000);
    expect(await takes()).toBe(false);
    renewed(50_000, -300_000);
    expect(await takes()).toBe(true);
  });
});

describe('a Lease in other hands', () => {
  const fast = { timing: { beatMs: 20, durationSeconds: 40 } };
  const foreign = (lease: Lease): Lease => ({
    ...lease,
    metadata: { ...lease.metadata, annotations: { 'kube-buildx-action/repository': 'evil/thief' } },
    spec: { ...lease.spec, holderIdentity: 'thief' },
  });

  it('is told, the build goes on, and its end leaves the other one his', async () => {
    addPods('p-a');
    const one = run('one', fast);
    const claim = await one.claim();
    const [lease] = builds();
    fake.meddle(lease!.metadata.name, foreign);
    await until(() => one.warnings.length > 0);
    expect(one.warnings).toEqual([
      'evil/thief (run 7) has taken the place of this build on pod p-a; both go on. ' +
        'That happens when the API server does not hear of a build for 40 s.',
    ]);
    await release(claim);
    expect(builds().map(({ spec }) => spec?.holderIdentity)).toEqual(['thief']);
  });

  it('is left to him too when that shows only at the end', async () => {
    addPods('p-a');
    const claim = await run('one').claim();
    fake.meddle(builds()[0]!.metadata.name, foreign);
    await release(claim);
    expect(builds().map(({ spec }) => spec?.holderIdentity)).toEqual(['thief']);
    expect(annotationsOf('p-a')[safeToEvict]).toBe('false');
  });

  it('is ours all the same when somebody only wrote something on it', async () => {
    addPods('p-a');
    const one = run('one', fast);
    const claim = await one.claim();
    const [lease] = builds();
    fake.meddle(lease!.metadata.name, (found) => ({ ...found, spec: { ...found.spec } }));
    const before = builds()[0]?.metadata.resourceVersion;
    await until(() => Number(builds()[0]?.metadata.resourceVersion) > Number(before));
    expect(one.warnings).toEqual([]);
    await release(claim);
    expect(builds()).toEqual([]);
  });

  it('is made again when somebody deleted it', async () => {
    addPods('p-a');
    const one = run('one', fast);
    const claim = await one.claim();
    const [lease] = builds();
    fake.meddle(lease!.metadata.name, () => undefined);
    await until(() => builds().length === 1);
    expect(builds()[0]?.metadata.uid).not.toBe(lease!.metadata.uid);
    await release(claim);
    expect(builds()).toEqual([]);
  });
});

describe('an API server that does not help', () => {
  const rbac = (verb: string, resource: string) => ({
    status: 403,
    message: `User "u" cannot ${verb} resource "${resource}"`,
  });

  it.each([
    ['list', 'GET', 'leases'],
    ['create', 'POST', 'leases'],
  ])('costs a line where it does not let us %s Leases', async (verb, method, resource) => {
    addPods('p-a');
    fake.refusal = (request) =>
      request.method === method && request.path.includes(resource)
        ? rbac(verb, resource)
        : undefined;
    const free = run('free');
    await release(await free.claim());
    expect(free.lines.filter((line) => line.includes('no right'))).toEqual([
      expect.stringMatching(
        new RegExp(`^Builds on this builder do not know of each other: no right to ${verb} leases`),
      ),
    ]);
    const limited = run('limited', { maxBuildsPerPod: 1 });
    await release(await limited.claim());
    expect(limited.lines.filter((line) => line.includes('no right'))).toEqual([
      expect.stringContaining('max-builds-per-pod is not kept: no right to'),
    ]);
  });

  it('costs a line where it does not let us mark pods', async () => {
    addPods('p-a');
    fake.refusal = ({ path }) => (path.includes('/pods/') ? rbac('patch', 'pods') : undefined);
    const one = run('one');
    await release(await one.claim());
    expect(one.lines).toEqual([
      'Pod p-a, the only one',
      'No right to patch pods: an autoscaler may move a pod while it builds.',
    ]);
    expect(fake.leases.size).toBe(0);
  });

  it('is asked again: the Lease of a build comes later', async () => {
    addPods('p-a');
    fake.refusal = ({ path }) =>
      path.includes('/leases') ? { status: 500, message: 'etcd is away' } : undefined;
    const one = run('one', { timing: { beatMs: 50, durationSeconds: 40 } });
    const claim = await one.claim();
    expect(one.lines.some((line) => line.includes('etcd is away'))).toBe(true);
    fake.refusal = () => undefined;
    await until(() => builds().length === 1);
    await release(claim);
    expect(builds()).toEqual([]);
  });

  it.each([429, 500])('is waited for where slots count, after %i too', async (status) => {
    addPods('p-a');
    await run('one').claim();
    fake.refusal = ({ path, method }) =>
      path.includes('/leases') && method === 'POST' ? { status, message: 'later' } : undefined;
    const { outcome, done } = waiting(run('two', { maxBuildsPerPod: 2 }));
    await sleep(100);
    expect(outcome).toEqual({});
    fake.refusal = () => undefined;
    await done;
    expect(nameOf(outcome.claim!)).toBe('p-a');
  });
});

describe('liveLeases', () => {
  it('tells who builds and who waits', async () => {
    addPods('p-a');
    await run('one', { maxBuildsPerPod: 1 }).claim();
    const cancel = new AbortController();
    const second = waiting(run('two', { maxBuildsPerPod: 1 }), cancel.signal);
    await until(() => queue().length === 1);
    const [client] = clients;
    const where = { namespace: 'ci', builder: 'pool' };
    const found = await liveLeases(client!, where, never);
    expect(found?.map(({ kind, jobId, description }) => [kind, jobId, description])).toEqual([
      ['build', 'one', 'acme/one (run 7)'],
      ['queue', 'two', 'acme/two (run 7)'],
    ]);
    expect(found?.map(({ podUid }) => podUid)).toEqual(['uid-p-a00000', 'uid-p-a00000']);
    fake.advance(41_000);
    expect(await liveLeases(client!, where, never)).toEqual([]);
    cancel.abort(new Error('enough'));
    await second.done;
  });

  it('does not know without rights', async () => {
    fake.refusal = () => ({ status: 403, message: 'User "u" cannot list resource "leases"' });
    run('one');
    const where = { namespace: 'ci', builder: 'pool' };
    expect(await liveLeases(clients[0]!, where, never)).toBeUndefined();
  });
});
