import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { PodClaims } from '../../src/kubernetes/leases/pod-claims.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { ClaimingPicker } from '../../src/kubernetes/pod-picker.ts';
import { Rollout } from '../../src/kubernetes/rollout.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { FakeLeaseApi } from '../fakes/fake-lease-api.ts';

const timeoutMs = 400;
const notices = new Notices(nullLogger);

let fake: FakeLeaseApi;
let client: KubeClient;
let open: AsyncDisposableStack;

beforeEach(async () => {
  open = new AsyncDisposableStack();
  fake = open.use(await FakeLeaseApi.start());
  client = open.use(createKubeClient(fake.api.config(), {}));
  // Pods are polled, and nothing else is to be seen of the builder.
  fake.refusal = ({ path, query }) => {
    const isSeen = path.endsWith('/pods') ? !query.has('watch') : path.includes('/leases');
    return isSeen || path.includes('/pods/') ? undefined : { status: 403, message: 'forbidden' };
  };
});

afterEach(async () => {
  await open.disposeAsync();
});

function addRunningPod(name: string): void {
  const pod = fake.addPod(name);
  const state = { running: {} };
  const containerStatuses = [{ name: 'buildkitd', ready: true, restartCount: 0, state }];
  fake.pods.set(name, { ...pod, status: { phase: 'Running', containerStatuses } });
}

/** A run that builds on the pool, one build per pod, and waits 400 ms for pods. */
function run(jobId: string): { readonly rollout: Rollout; readonly picker: ClaimingPicker } {
  const rollout = open.use(
    new Rollout({
      client,
      namespace: 'ci',
      builder: 'pool',
      kind: 'statefulsets',
      selector: 'app.kubernetes.io/instance=pool',
      wanted: { image: 'moby/buildkit:x', platform: undefined, limits: {} },
      replicas: 1,
      affinityKey: 'k',
      timeoutMs,
      timeoutIsExplicit: true,
      notices,
      logger: nullLogger,
    }),
  );
  const claims = PodClaims.open({
    client,
    namespace: 'ci',
    builder: 'pool',
    workload: 'pool-linux-amd64',
    strategy: 'sticky',
    keys: { affinityKey: 'k', buildxKey: '' },
    maxBuildsPerPod: 1,
    queueTimeoutMs: 60_000,
    holder: { repository: 'acme/app', runId: '7', runUrl: '', jobId },
    logger: nullLogger,
    notices,
  });
  rollout.followPods();
  rollout.await();
  return { rollout, picker: open.use(new ClaimingPicker(rollout, claims)) };
}

const isQueued = (): boolean => [...fake.leases.keys()].some((name) => name.includes('-queue-'));

describe('a build that waits for a slot', () => {
  it('does not wait for pods, until there are none any more', async () => {
    addRunningPod('p-a');
    const first = run('one');
    await first.picker.pick(first.rollout.failed);
    const second = run('two');
    const picked = second.picker.pick(second.rollout.failed).catch((thrown: unknown) => thrown);
    while (!isQueued()) await sleep(5);
    await sleep(2 * timeoutMs);
    expect(second.rollout.failed.aborted).toBe(false);
    fake.pods.clear();
    expect(await picked).toMatchObject({ code: 'BUILDER_TIMEOUT' });
    expect(isQueued()).toBe(false);
  });
});
