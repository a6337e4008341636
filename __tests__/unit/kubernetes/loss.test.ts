import { describe, expect, it } from '@jest/globals';
import type { ContainerStatus, Pod } from '../../../src/kubernetes/kube-objects.ts';
import { connectedPod, lossOf } from '../../../src/kubernetes/loss.ts';

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
const seen = (current: Pod | undefined, gone = false) => lossOf(connected, { current, gone });

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
      'buildkitd in pod b-1 ended with exit code 2: panic: x and was started again',
    );
  });

  it('does not take an old restart for a new one', () => {
    expect(seen(daemon({ lastState: { terminated: { exitCode: 1 } } }))).toBeUndefined();
  });

  it('names eviction in the words of the node', () => {
    const status = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on memory.' };
    expect(seen(daemon({}, { status }))?.message).toBe(
      'pod b-1 has ended: Evicted: The node was low on memory.',
    );
  });

  it('names who took a pod that is gone, where Kubernetes noted it', () => {
    const conditions = [
      {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'PreemptionByScheduler',
        message: 'preempting to accommodate a higher priority pod',
      },
    ];
    expect(seen(daemon({}, { status: { phase: 'Running', conditions } }), true)?.message).toBe(
      'pod b-1 was deleted: preempting to accommodate a higher priority pod',
    );
    expect(seen(undefined, true)?.message).toBe('pod b-1 was deleted');
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
  });
});
