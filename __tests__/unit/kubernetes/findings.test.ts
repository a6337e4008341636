import { describe, expect, it } from '@jest/globals';
import {
  findAll,
  hasStarted,
  isRunning,
  isScalingUp,
  type Snapshot,
} from '../../../src/kubernetes/findings.ts';
import type {
  ContainerStatus,
  KubeEvent,
  Pod,
  Workload,
} from '../../../src/kubernetes/kube-objects.ts';

const wanted = { image: 'moby/buildkit:x', platform: 'linux/arm64', limits: { memory: '1Gi' } };

function pod(status: Pod['status'], deleted = false): Pod {
  return {
    metadata: {
      name: 'b-1',
      uid: 'u1',
      ...(deleted ? { deletionTimestamp: '2030-01-01T00:00:00Z' } : {}),
    },
    ...(status === undefined ? {} : { status }),
  };
}

function daemon(status: Partial<ContainerStatus>): Pod {
  const sidecar = { name: 'istio-proxy', restartCount: 0, state: { running: {} } };
  return pod({
    phase: 'Pending',
    containerStatuses: [sidecar, { name: 'buildkitd', restartCount: 0, ...status }],
  });
}

const waitingFor = (reason: string, message?: string): Pod =>
  daemon({ state: { waiting: { reason, ...(message === undefined ? {} : { message }) } } });

function refused(message: string): Workload {
  return {
    metadata: { name: 'b', uid: 'w' },
    status: {
      conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }],
    },
  };
}

function find(part: Partial<Snapshot>) {
  const snapshot = { workloads: [], pods: [], events: [], failedPulls: new Map(), ...part };
  return findAll(snapshot, wanted);
}

const event = (reason: string, message = '', more: Partial<KubeEvent> = {}): KubeEvent => ({
  metadata: { name: 'e', uid: 'e' },
  involvedObject: { kind: 'Pod', name: 'b-1', uid: 'u1' },
  reason,
  message,
  ...more,
});

describe('findAll', () => {
  describe('image pulls', () => {
    it.each(['InvalidImageName', 'ErrImageNeverPull'])('%s ends the wait at once', (reason) => {
      expect(find({ pods: [waitingFor(reason)] })).toMatchObject([
        { severity: 'fatal', code: 'BUILDER_IMAGE_PULL' },
      ]);
    });

    it.each([
      'rpc error: code = NotFound desc = failed to resolve reference "r/x:y": r/x:y: not found',
      'manifest unknown',
      'pull access denied, repository does not exist or may require authorization',
      'dial tcp: lookup nowhere.invalid: no such host',
    ])('a decisive answer ends it at once: %s', (message) => {
      expect(find({ pods: [waitingFor('ErrImagePull', message)] })[0]).toMatchObject({
        severity: 'fatal',
        text: `the builder's image moby/buildkit:x cannot be pulled: ErrImagePull: ${message}`,
      });
    });

    it('what may pass is given a second chance', () => {
      const pods = [waitingFor('ErrImagePull', '503 Service Unavailable')];
      expect(find({ pods, failedPulls: new Map([['u1', 1]]) })[0]?.severity).toBe('waiting');
      expect(find({ pods, failedPulls: new Map([['u1', 2]]) })[0]?.severity).toBe('fatal');
    });

    it('knows a registry that limits pulls', () => {
      const [finding] = find({ pods: [waitingFor('ErrImagePull', '429 Too Many Requests')] });
      expect(finding?.hint).toContain('mirror');
    });
  });

  describe('containers that end', () => {
    it('name the exit code and where the log is', () => {
      const pods = [daemon({ state: { terminated: { exitCode: 1, reason: 'Error' } } })];
      expect(find({ pods })[0]).toMatchObject({
        severity: 'fatal',
        code: 'BUILDER_CRASHED',
        text: 'buildkitd ended with exit code 1 in pod b-1',
        crashed: { pod: 'b-1', previous: false },
      });
    });

    it('name the limit when memory ran out', () => {
      const [finding] = find({
        pods: [
          daemon({
            restartCount: 1,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
          }),
        ],
      });
      expect(finding).toMatchObject({
        text: 'buildkitd was killed for using more memory than its limit of 1Gi (OOMKilled) in pod b-1',
        hint: 'Raise limits.memory in driver-opts.',
        crashed: { previous: true },
      });
    });

    it('are forgotten once the container runs again', () => {
      const pods = [
        daemon({
          restartCount: 1,
          state: { running: {} },
          lastState: { terminated: { exitCode: 1 } },
        }),
      ];
      expect(find({ pods })).toEqual([]);
    });

    it('do not count in a pod that is being deleted', () => {
      const gone = {
        ...daemon({ state: { terminated: { exitCode: 137 } } }),
        metadata: { name: 'b-1', uid: 'u1', deletionTimestamp: '2030-01-01T00:00:00Z' },
      };
      expect(find({ pods: [gone] })).toEqual([]);
    });
  });

  describe('refused pods', () => {
    const quota =
      'pods "b-7d9-x2k" is forbidden: exceeded quota: ci, requested: cpu=250m, used: cpu=4, limited: cpu=4';

    it.each([
      [
        quota,
        'BUILDER_QUOTA',
        'the cluster does not create the pods: exceeded quota: ci, requested: cpu=250m, used: cpu=4, limited: cpu=4',
      ],
      [
        'pods "b" is forbidden: violates PodSecurity "baseline:latest": privileged (container "buildkitd" must not set securityContext.privileged=true)',
        'BUILDER_REFUSED',
        'the cluster does not create the pods: violates PodSecurity "baseline:latest": privileged (container "buildkitd" must not set securityContext.privileged=true)',
      ],
      [
        'admission webhook "validate.kyverno.svc" denied the request: no',
        'BUILDER_REFUSED',
        'the cluster does not create the pods: admission webhook "validate.kyverno.svc" denied the request: no',
      ],
    ])('%s', (message, code, text) => {
      expect(find({ workloads: [refused(message)] })).toMatchObject([
        { severity: 'fatal', code, text },
      ]);
    });

    it('only matter less when there are others', () => {
      expect(find({ workloads: [refused(quota)], pods: [pod({})] })[0]?.severity).toBe('waiting');
    });

    it('are waited for where that helps', () => {
      const message =
        'error looking up service account ns/default: serviceaccount "default" not found';
      expect(find({ workloads: [refused(message)] })[0]?.severity).toBe('stuck');
    });
  });

  it('tells apart what waiting helps and what not, when there is no node', () => {
    const unscheduled = (message: string): Pod =>
      pod({
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
      });
    const selector =
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    expect(find({ pods: [unscheduled(selector)] })).toMatchObject([
      { severity: 'stuck', text: 'no node for linux/arm64: 0/2 nodes: 2 wrong architecture' },
    ]);
    expect(
      find({ pods: [unscheduled('0/2 nodes are available: 2 Insufficient cpu.')] }),
    ).toMatchObject([{ severity: 'waiting', code: 'BUILDER_UNSCHEDULABLE' }]);
  });

  it('tells the image that is pulled', () => {
    const message = 'Pulling image "moby/buildkit:x"';
    expect(find({ events: [event('Pulling', message)] })).toMatchObject([
      { severity: 'waiting', text: 'pulling image moby/buildkit:x' },
    ]);
    expect(find({ events: [event('Created'), event('Scheduled')] })).toEqual([]);
  });
});

describe('what a pod is', () => {
  it('runs when the daemon does, whatever its neighbours do', () => {
    expect(isRunning(daemon({ state: { running: {} } }))).toBe(true);
    expect(isRunning(waitingFor('ContainerCreating'))).toBe(false);
    expect(isRunning(pod({ phase: 'Running' }))).toBe(false);
  });

  it('has started when the node says so of the right container', () => {
    const started = (container: string, uid = 'u1'): KubeEvent =>
      event('Started', '', {
        involvedObject: { uid, fieldPath: `spec.containers{${container}}` },
      });
    expect(hasStarted(pod({}), [started('istio-proxy'), started('buildkitd', 'other')])).toBe(
      false,
    );
    expect(hasStarted(pod({}), [started('buildkitd')])).toBe(true);
  });
});

describe('isScalingUp', () => {
  it('knows both autoscalers', () => {
    expect(isScalingUp([event('TriggeredScaleUp')])).toBe(true);
    expect(isScalingUp([event('Nominated')])).toBe(true);
    expect(isScalingUp([event('NotTriggerScaleUp'), event('FailedScheduling')])).toBe(false);
  });
});
