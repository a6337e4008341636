import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { Rollout, type RolloutOptions } from '../../src/kubernetes/rollout.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

interface Stage {
  readonly rollout: Rollout;
  readonly lines: string[];
  /** Sends an object on the watch of its resource, as soon as that is open. */
  readonly send: (resource: string, object: object) => Promise<void>;
}

/** A rollout before an API server that has nothing yet. */
async function stage(
  options: Partial<RolloutOptions> = {},
  forbidden: readonly string[] = [],
  log = 'could not lock state',
): Promise<Stage> {
  const watches = new Map<string, PromiseWithResolvers<ServerResponse>>();
  const watch = (resource: string): PromiseWithResolvers<ServerResponse> => {
    const known = watches.get(resource) ?? Promise.withResolvers<ServerResponse>();
    watches.set(resource, known);
    return known;
  };
  const api = await FakeKubeApi.start((request, response) => {
    const resource = request.path.split('/').at(-1) ?? '';
    if (request.path.endsWith('/log')) {
      response.end(`${request.query.get('previous') ?? ''}: ${log}\n`);
    } else if (forbidden.includes(resource)) {
      refuse(response, 403, `User "u" cannot list resource "${resource}"`);
    } else if (request.query.get('watch') === '1') {
      response.writeHead(200);
      response.flushHeaders();
      watch(resource).resolve(response);
    } else json(response, 200, { metadata: { resourceVersion: '1' }, items: [] });
  });
  const client = createKubeClient(api.config(), {});
  const lines: string[] = [];
  const rollout = new Rollout({
    client,
    namespace: 'ci',
    builder: 'kbx-a',
    selector: 'app.kubernetes.io/instance=x',
    wanted: { image: 'moby/buildkit:x', platform: 'linux/arm64', limits: {} },
    replicas: 1,
    affinityKey: 'k',
    timeoutMs: 30_000,
    timeoutIsExplicit: false,
    tellAfterMs: 0,
    notices: new Notices({ ...nullLogger, info: (line) => lines.push(line) }),
    logger: nullLogger,
    ...options,
  });
  open.push(api, rollout);
  rollout.followPods();
  rollout.followTheRest();
  // All first lists are over, so that the next change is what the test sends.
  const workloads = options.kind === 'statefulsets' ? [] : ['deployments', 'replicasets'];
  const seen = [...workloads, 'pods', 'events'].filter((resource) => !forbidden.includes(resource));
  await Promise.all(seen.map((resource) => watch(resource).promise));
  // Where time is short it starts later, when the test has sent what it has to.
  if (options.timeoutMs === undefined) rollout.await();
  return {
    rollout,
    lines,
    send: async (resource, object) => {
      const response = await watch(resource).promise;
      const changed = new Promise<void>((resolve) => {
        const stop = rollout.onChange(() => {
          stop();
          resolve();
        });
      });
      response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
      await changed;
    },
  };
}

async function failure({ rollout }: Stage): Promise<unknown> {
  if (!rollout.failed.aborted) await once(rollout.failed, 'abort');
  return rollout.failed.reason;
}

const metadata = { name: 'kbx-a-linux-1', uid: 'u1', resourceVersion: '2' };
const scheduled = { metadata, spec: { nodeName: 'node-a' }, status: { phase: 'Pending' } };
const unschedulable = {
  metadata,
  status: {
    phase: 'Pending',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
      },
    ],
  },
};
const daemon = (state: object, more: object = {}) => ({
  metadata,
  spec: { nodeName: 'node-a' },
  status: {
    phase: 'Pending',
    containerStatuses: [{ name: 'buildkitd', restartCount: 0, state, ...more }],
  },
});
const event = (reason: string, message: string, more: object = {}) => ({
  metadata: { name: reason, uid: `e-${reason}`, resourceVersion: '3' },
  involvedObject: { kind: 'Pod', name: 'kbx-a-linux-1', uid: 'u1', ...more },
  reason,
  message,
});

describe('Rollout', () => {
  it('has a pod as soon as the node says that it started, before its status does', async () => {
    const { rollout, send } = await stage();
    await send('pods', scheduled);
    expect(rollout.startedPod()).toBeUndefined();
    await send('events', event('Started', '', { fieldPath: 'spec.containers{istio-proxy}' }));
    expect(rollout.startedPod()).toBeUndefined();
    await send('events', event('Started', '', { fieldPath: 'spec.containers{buildkitd}' }));
    expect(rollout.startedPod()?.metadata.name).toBe('kbx-a-linux-1');
  });

  it('has a pod as soon as that has a node, where events are not to be seen', async () => {
    const { rollout, send } = await stage({}, ['events', 'replicasets']);
    await send('pods', scheduled);
    while (rollout.startedPod() === undefined) {
      await new Promise<void>((resolve) => {
        rollout.onChange(resolve);
      });
    }
    expect(rollout.startedPod()?.metadata.name).toBe('kbx-a-linux-1');
  });

  it('tells each reason once, and nothing of other pods', async () => {
    const { lines, send } = await stage();
    await send('pods', scheduled);
    const pulling = event('Pulling', 'Pulling image "moby/buildkit:x"');
    await send('events', pulling);
    await send('events', { ...pulling, metadata: { ...pulling.metadata, uid: 'again' } });
    await send('events', event('Pulling', 'Pulling image "other"', { name: 'other-1' }));
    expect(lines).toEqual(['pulling image moby/buildkit:x']);
  });

  it('does not tell what passes by itself, nor what ends the wait', async () => {
    const { rollout, lines, send } = await stage({ tellAfterMs: 60 });
    await send('pods', scheduled);
    await send('events', event('FailedMount', 'secret "x" not found'));
    await send('pods', daemon({ running: {} }));
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(lines).toEqual([]);
    await send('pods', daemon({ waiting: { reason: 'InvalidImageName', message: 'no image' } }));
    await failure({ rollout, lines, send });
    expect(lines).toEqual([]);
  });

  it('tells what lasts, though nothing changes', async () => {
    const { lines, send } = await stage({ tellAfterMs: 60 });
    await send('pods', scheduled);
    await send('events', event('FailedMount', 'secret "x" not found'));
    expect(lines).toEqual([]);
    while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(lines).toEqual(['a volume cannot be mounted: secret "x" not found']);
  });

  it('does not give up what no node fits while a node is being added', async () => {
    const up = await stage({ timeoutMs: 60, timeoutIsExplicit: false });
    await up.send('events', event('TriggeredScaleUp', 'pod triggered scale-up: [{pool 0->1}]'));
    await up.send('pods', unschedulable);
    up.rollout.await();
    // Later than the timeout, which has been stretched.
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(up.rollout.failed.aborted).toBe(false);
    expect(up.lines).toContain('a node is being added: pod triggered scale-up: [{pool 0->1}]');
  });

  it('keeps to the timeout that the user chose, whatever is being added', async () => {
    const up = await stage({ timeoutMs: 300, timeoutIsExplicit: true });
    await up.send('events', event('TriggeredScaleUp', 'pod triggered scale-up'));
    up.rollout.await();
    expect(await failure(up)).toMatchObject({
      code: 'BUILDER_TIMEOUT',
      message: expect.stringMatching(/did not start within 0 s: a node is being added/),
    });
  });

  it('gives it up at once where the autoscaler has refused', async () => {
    const down = await stage();
    await down.send('pods', unschedulable);
    expect(down.rollout.failed.aborted).toBe(false);
    await down.send('events', event('NotTriggerScaleUp', "pod didn't trigger scale-up"));
    expect(await failure(down)).toMatchObject({
      code: 'BUILDER_UNSCHEDULABLE',
      message: 'no node for linux/arm64: 0/2 nodes: 2 wrong architecture',
    });
  });

  it('gives an image that could not be pulled a second chance, not a third', async () => {
    const pulls = await stage();
    const waiting = (reason: string) =>
      daemon({ waiting: { reason, message: 'unexpected status 503 Service Unavailable' } });
    await pulls.send('pods', waiting('ErrImagePull'));
    await pulls.send('pods', waiting('ImagePullBackOff'));
    await pulls.send('pods', waiting('ImagePullBackOff'));
    expect(pulls.rollout.failed.aborted).toBe(false);
    await pulls.send('pods', waiting('ErrImagePull'));
    expect(await failure(pulls)).toMatchObject({ code: 'BUILDER_IMAGE_PULL' });
  });

  it('reads the log of the container that ended', async () => {
    const crash = await stage();
    await crash.send(
      'pods',
      daemon(
        { waiting: { reason: 'CrashLoopBackOff' } },
        { restartCount: 1, lastState: { terminated: { exitCode: 1, reason: 'Error' } } },
      ),
    );
    expect(await failure(crash)).toMatchObject({
      code: 'BUILDER_CRASHED',
      message:
        'buildkitd ended with exit code 1 in pod kbx-a-linux-1; its last lines:\ntrue: could not lock state',
    });
  });

  it.each([
    [
      '   --debug  enable debug output\nbuildkitd: flag provided but not defined: -x\n   --group string',
      'last lines:\nbuildkitd: flag provided but not defined: -x',
      'Correct buildkitd-flags; `buildkitd --help` in the image lists them.',
    ],
    [
      'buildkitd: rootless mode requires to be executed as the mapped root in a user namespace',
      'mapped root',
      'mode=rootless needs a rootless image',
    ],
  ])('tells what to change from what buildkitd said: %s', async (log, said, hint) => {
    const crash = await stage({}, [], `\n${log}`);
    await crash.send('pods', daemon({ terminated: { exitCode: 1, reason: 'Error' } }));
    expect(await failure(crash)).toMatchObject({
      code: 'BUILDER_CRASHED',
      message: expect.stringContaining(said),
      hint: expect.stringContaining(hint),
    });
  });

  it('names a scheduler that does not answer', async () => {
    const ignored = await stage({ timeoutMs: 400 });
    const pod = { metadata, spec: { schedulerName: 'volcano' }, status: { phase: 'Pending' } };
    await ignored.send('pods', pod);
    ignored.rollout.await();
    expect(await failure(ignored)).toMatchObject({
      message: expect.stringContaining('scheduler volcano has not looked at pod kbx-a-linux-1'),
      hint: expect.stringContaining('schedulername'),
    });
  });

  it('names what it was at when nothing more was said', async () => {
    const silent = await stage({ timeoutMs: 50 });
    silent.rollout.await();
    expect(await failure(silent)).toMatchObject({
      message: expect.stringContaining('the cluster has made no pod of it'),
    });
    const started = await stage({ timeoutMs: 400 });
    await started.send('pods', scheduled);
    started.rollout.await();
    expect(await failure(started)).toMatchObject({
      message: expect.stringContaining('pod kbx-a-linux-1 starts on node-a'),
    });
  });

  it('asks for the right to see the workloads, where only they know why there is no pod', async () => {
    const blind = await stage({ timeoutMs: 50 }, ['deployments', 'replicasets']);
    blind.rollout.await();
    expect(await failure(blind)).toMatchObject({
      code: 'BUILDER_TIMEOUT',
      hint: expect.stringMatching(/^Grant list and watch on deployments and replicasets/),
    });
    const halfBlind = await stage({ timeoutMs: 50 }, ['replicasets']);
    halfBlind.rollout.await();
    expect(await failure(halfBlind)).toMatchObject({ hint: expect.stringMatching(/timeout=/) });
  });

  it('names the daemon that runs and does not answer, with the last try', async () => {
    const mute = await stage({ timeoutMs: 400 });
    const cause = new Error('connection refused');
    mute.rollout.noteAttempt(cause);
    await mute.send('pods', daemon({ running: {} }));
    mute.rollout.await();
    expect(await failure(mute)).toMatchObject({
      code: 'BUILDER_UNREACHABLE',
      message: 'buildkitd in pod kbx-a-linux-1 did not answer within 0 s',
      cause,
    });
  });

  it('waits for another pod than those to be avoided', async () => {
    const again = await stage({ avoid: ['u1'] });
    await again.send('pods', daemon({ running: {} }));
    expect(again.rollout.startedPod()).toBeUndefined();
    const other = { ...metadata, name: 'kbx-a-linux-2', uid: 'u2' };
    await again.send('pods', { ...daemon({ running: {} }), metadata: other });
    expect(again.rollout.startedPod()?.metadata.name).toBe('kbx-a-linux-2');
  });

  it('reads of a StatefulSet in events why it has no pods', async () => {
    const { rollout, ...set } = await stage({ kind: 'statefulsets', workload: 'kbx-a-linux' });
    const message =
      'create Claim state-kbx-a-linux-0 Pod kbx-a-linux-0 in StatefulSet kbx-a-linux failed error: persistentvolumeclaims "state-kbx-a-linux-0" is forbidden: exceeded quota: ci, requested: requests.storage=10Gi';
    const refusal = (name: string) =>
      event('FailedCreate', message, { kind: 'StatefulSet', name, uid: 's1' });
    await set.send('events', refusal('kbx-a-linuxes'));
    expect(rollout.failed.aborted).toBe(false);
    await set.send('events', refusal('kbx-a-linux'));
    expect(await failure({ rollout, ...set })).toMatchObject({
      code: 'BUILDER_QUOTA',
      message:
        'the cluster does not create the pods: exceeded quota: ci, requested: requests.storage=10Gi',
    });
  });

  it('reads of the claims of its pods why they are not bound, and of no others', async () => {
    const { rollout, ...set } = await stage({ kind: 'statefulsets', workload: 'kbx-a-linux' });
    const volumes = [
      { name: 'state', persistentVolumeClaim: { claimName: 'state-kbx-a-linux-0' } },
    ];
    await set.send('pods', { metadata, spec: { volumes }, status: { phase: 'Pending' } });
    const message = 'storageclass.storage.k8s.io "nope" not found';
    const failed = (name: string) =>
      event('ProvisioningFailed', message, { kind: 'PersistentVolumeClaim', name, uid: 'c' });
    await set.send('events', failed('state-other-0'));
    expect(rollout.failed.aborted).toBe(false);
    await set.send('events', failed('state-kbx-a-linux-0'));
    expect(await failure({ rollout, ...set })).toMatchObject({
      code: 'BUILDER_VOLUME',
      message: `volume claim state-kbx-a-linux-0 gets no volume: ${message}`,
    });
  });

  it('hints at another mode where the log of the daemon says that this one cannot run', async () => {
    const rootless = await stage({}, [], '[rootlesskit:parent] error: newuidmap 15 failed');
    await rootless.send('pods', daemon({ terminated: { exitCode: 1 } }));
    expect(await failure(rootless)).toMatchObject({
      code: 'BUILDER_CRASHED',
      hint: expect.stringContaining('mode=userns'),
    });
  });

  it('does not take for such a log what only names the same things', async () => {
    const usage = await stage({}, [], 'Usage: --oci-worker-apparmor-profile  profile to apply');
    await usage.send('pods', daemon({ terminated: { exitCode: 1 } }));
    expect(await failure(usage)).toMatchObject({ hint: expect.stringContaining('Its log') });
  });
});
