import { describe, expect, it } from '@jest/globals';
import type { ContainerStatus, Node, Pod } from '../../../src/kubernetes/kube-objects.ts';
import { connectedPod, type Evidence, lossOf } from '../../../src/kubernetes/loss.ts';

const daemon = (status: Partial<ContainerStatus>, more: Partial<Pod> = {}): Pod => ({
  metadata: { name: 'b-1', uid: 'u1' },
  ...more,
  spec: {
    nodeName: 'node-7',
    containers: [{ name: 'buildkitd', resources: { limits: { memory: '2Gi' } } }],
  },
  status: {
    phase: 'Running',
    ...more.status,
    containerStatuses: [{ name: 'buildkitd', restartCount: 2, state: { running: {} }, ...status }],
  },
});
const connected = connectedPod('ci', daemon({}));
const seen = (current: Pod | undefined, gone = false, more: Partial<Evidence> = {}) =>
  lossOf(connected, { current, gone, ...more });

/** A pod that Kubernetes has noted to take, and why. */
const disrupted = (reason: string, message: string): Pod =>
  daemon(
    {},
    {
      status: {
        phase: 'Running',
        conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message }],
      },
    },
  );

const node = (more: Partial<Node>): Node => ({ metadata: { name: 'node-7', uid: 'n7' }, ...more });
const unreachable = node({
  status: {
    conditions: [
      { type: 'Ready', status: 'Unknown', message: 'Kubelet stopped posting node status.' },
    ],
  },
});

describe('lossOf', () => {
  it('is nothing while the daemon runs as it did, also when it is being deleted', () => {
    expect(seen(daemon({}))).toBeUndefined();
    const metadata = { name: 'b-1', uid: 'u1', deletionTimestamp: 'now' };
    expect(seen(daemon({}, { metadata }))).toBeUndefined();
  });

  it('names memory and its limit', () => {
    const terminated = { exitCode: 137, reason: 'OOMKilled' };
    expect(seen(daemon({ state: { terminated } }))?.message).toBe(
      'buildkitd in pod b-1 was killed for using more memory than its limit of 2Gi (OOMKilled)',
    );
  });

  it('sees a restart that is over already', () => {
    const restarted = daemon({
      restartCount: 3,
      lastState: { terminated: { exitCode: 2, reason: 'Error', message: 'panic: x\n' } },
    });
    expect(seen(restarted)?.message).toBe(
      'buildkitd in pod b-1 ended with exit code 2: panic: x and was started again, for the 3rd time',
    );
  });

  it('does not take an old restart for a new one', () => {
    expect(seen(daemon({ lastState: { terminated: { exitCode: 1 } } }))).toBeUndefined();
  });

  it.each([
    [
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi.',
      /requests\.memory/,
    ],
    ['The node was low on resource: ephemeral-storage.', /disk of the node was full/],
    ['The node had condition: [DiskPressure].', /disk of the node was full/],
    [
      'Pod ephemeral local storage usage exceeds the total limit of containers 10Gi.',
      /limits\.ephemeral-storage/,
    ],
    ['Usage of EmptyDir volume "state" exceeds the limit "1Gi".', /outgrew its volume/],
  ])('names eviction in the words of the node: %s', (message, hint) => {
    const status = { phase: 'Failed', reason: 'Evicted', message };
    expect(seen(daemon({}, { status }))).toMatchObject({
      kind: 'evicted',
      message: `pod b-1 was evicted from node node-7: ${message}`,
      hint: expect.stringMatching(hint),
    });
  });

  it('names a node that was shut down, and any other end in its own words', () => {
    const shutDown = {
      phase: 'Failed',
      reason: 'Terminated',
      message: 'Pod was terminated in response to imminent node shutdown.',
    };
    expect(seen(daemon({}, { status: shutDown }))).toMatchObject({
      kind: 'node-lost',
      message: `pod b-1 ended with node node-7: ${shutDown.message}`,
    });
    const other = { phase: 'Failed', reason: 'DeadlineExceeded', message: 'active too long' };
    expect(seen(daemon({}, { status: other }))).toMatchObject({
      kind: 'ended',
      message: 'pod b-1 has ended: DeadlineExceeded: active too long',
    });
  });

  it.each([
    [
      'PreemptionByScheduler',
      'preempted',
      'pod b-1 on node node-7 was preempted by a pod of higher priority: x',
    ],
    ['EvictionByEvictionAPI', 'drained', 'pod b-1 was drained from node node-7: x'],
    ['DeletionByTaintManager', 'drained', 'pod b-1 was taken from node node-7 for a taint: x'],
    ['DeletionByPodGC', 'node-lost', 'node node-7 of pod b-1 is gone: x'],
    ['TerminationByKubelet', 'evicted', 'pod b-1 was evicted from node node-7: x'],
  ])('names who took a pod that is gone, as Kubernetes noted it: %s', (reason, kind, message) => {
    expect(seen(disrupted(reason, 'x'), true)).toMatchObject({ kind, message });
  });

  it('knows the taint of a node that is lost', () => {
    const taken = disrupted('DeletionByTaintManager', 'Taint manager: deleting');
    expect(seen(taken, true, { node: unreachable })).toMatchObject({
      kind: 'node-lost',
      message: 'node node-7 of pod b-1 does not answer: Kubelet stopped posting node status.',
    });
  });

  it('says no more than that it was deleted, where nothing more is known', () => {
    expect(seen(undefined, true)).toMatchObject({
      kind: 'deleted',
      message: 'pod b-1 was deleted',
    });
  });

  it('sees that the node was being emptied', () => {
    const cordoned = node({ spec: { unschedulable: true } });
    expect(seen(undefined, true, { node: cordoned })).toMatchObject({
      kind: 'drained',
      message: 'pod b-1 was deleted while node node-7 is being emptied: it is cordoned',
    });
    const taints = [{ key: 'karpenter.sh/disrupted', effect: 'NoSchedule' }];
    expect(seen(undefined, true, { node: node({ spec: { taints } }) })?.message).toBe(
      'pod b-1 was deleted while node node-7 is being emptied: it has the taint karpenter.sh/disrupted',
    );
  });

  it.each([
    ['max-lifetime', /reached its max-lifetime/, /Raise max-lifetime/],
    ['silence', /heard nothing of this run/, /API server/],
    ['removed', /the builder was removed/, /owner/],
  ] as const)('says that the builder itself ended: %s', (ownerEnd, message, hint) => {
    expect(seen(undefined, true, { ownerEnd })).toMatchObject({
      kind: 'expired',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });

  it('calls a crash a crash, also when the builder ends soon after', () => {
    const terminated = { exitCode: 2 };
    expect(seen(daemon({ state: { terminated } }), false, { ownerEnd: 'removed' })?.kind).toBe(
      'ended',
    );
  });

  it('hints at the memory of the node where there was no limit', () => {
    const terminated = { exitCode: 137, reason: 'OOMKilled' };
    const limited = daemon({ state: { terminated } });
    const free = { ...limited, spec: { containers: [{ name: 'buildkitd' }] } };
    expect(seen(limited)).toMatchObject({ hint: expect.stringContaining('limits.memory') });
    expect(seen(free)).toMatchObject({
      kind: 'out-of-memory',
      message: expect.stringContaining('more memory than there is'),
      hint: expect.stringContaining('requests.memory'),
    });
  });

  it('calls a container that ended with its pod deleted, not crashed', () => {
    const metadata = { name: 'b-1', uid: 'u1', deletionTimestamp: 'now' };
    const killed = daemon(
      { state: { terminated: { exitCode: 137, reason: 'Error' } } },
      { metadata },
    );
    expect(seen(killed)?.message).toBe('pod b-1 was deleted');
    const failed = { ...killed, status: { ...killed.status, phase: 'Failed' } };
    expect(seen(failed)?.message).toBe('pod b-1 was deleted');
    expect(seen(killed, true)?.message).toBe('pod b-1 was deleted');
  });

  it('names a node that does not answer', () => {
    const conditions = [{ type: 'Ready', status: 'False', reason: 'NodeNotReady' }];
    expect(seen(daemon({}, { status: { phase: 'Running', conditions } }))?.message).toBe(
      'node node-7 of pod b-1 does not answer',
    );
    expect(seen(daemon({}), false, { node: unreachable })?.kind).toBe('node-lost');
    expect(seen(daemon({}), false, { node: 'gone' })?.message).toBe(
      'node node-7 of pod b-1 is gone',
    );
  });
});
