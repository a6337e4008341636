import { describe, expect, it } from '@jest/globals';
import type { Snapshot } from '../../../src/kubernetes/finding.ts';
import { findAll, hasStarted } from '../../../src/kubernetes/findings.ts';
import type {
  ContainerStatus,
  KubeEvent,
  Pod,
  Workload,
} from '../../../src/kubernetes/kube-objects.ts';
import { isRunning } from '../../../src/kubernetes/pod-state.ts';

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

const initContainer = (status: Partial<ContainerStatus>): Pod =>
  pod({
    phase: 'Pending',
    initContainerStatuses: [{ name: 'qemu', image: 'r/binfmt:1', restartCount: 0, ...status }],
    containerStatuses: [
      {
        name: 'buildkitd',
        restartCount: 0,
        state: { waiting: { reason: 'PodInitializing' } },
      },
    ],
  });

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
      expect(find({ pods, failedPulls: new Map([['u1/buildkitd', 1]]) })[0]?.severity).toBe(
        'waiting',
      );
      expect(find({ pods, failedPulls: new Map([['u1/buildkitd', 2]]) })[0]?.severity).toBe(
        'fatal',
      );
    });

    it.each([
      ['429 Too Many Requests', /mirror.*image-pull-secrets.*again later/],
      ['pull access denied', /image-pull-secrets/],
      ['no match for platform in manifest: not found', /architecture of the node/],
    ])('hints at what to change after %s', (message, hint) => {
      expect(find({ pods: [waitingFor('ErrImagePull', message)] })[0]?.hint).toMatch(hint);
    });
  });

  describe('containers that end', () => {
    it('name the exit code and where the log is', () => {
      const pods = [daemon({ state: { terminated: { exitCode: 1, reason: 'Error' } } })];
      expect(find({ pods })[0]).toMatchObject({
        severity: 'fatal',
        code: 'BUILDER_CRASHED',
        text: 'buildkitd ended with exit code 1 in pod b-1',
        crashed: { pod: 'b-1', container: 'buildkitd', previous: false },
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

  describe('init containers', () => {
    it('that pull are told by name and image', () => {
      const state = { waiting: { reason: 'ErrImagePull', message: 'not found' } };
      expect(find({ pods: [initContainer({ state })] })).toMatchObject([
        {
          severity: 'fatal',
          code: 'BUILDER_IMAGE_PULL',
          text: 'the image of init container qemu, r/binfmt:1 cannot be pulled: ErrImagePull: not found',
        },
      ]);
    });

    it('that fail end the wait, with their own log', () => {
      const state = { terminated: { exitCode: 1, reason: 'Error' } };
      expect(find({ pods: [initContainer({ state })] })).toMatchObject([
        {
          severity: 'fatal',
          code: 'BUILDER_CRASHED',
          text: 'init container qemu ended with exit code 1 in pod b-1',
          hint: expect.stringContaining('qemu.install'),
          crashed: { pod: 'b-1', container: 'qemu', previous: false },
        },
      ]);
    });

    it('of others get a second and a third chance', () => {
      const failed = (restartCount: number) =>
        initContainer({
          name: 'istio-init',
          restartCount,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 1 } },
        });
      expect(find({ pods: [failed(1)] })[0]).toMatchObject({
        severity: 'waiting',
        hint: expect.stringContaining('pod-template'),
      });
      expect(find({ pods: [failed(2)] })[0]?.severity).toBe('fatal');
    });

    it('that are done, or run beside the daemon, are nothing to tell', () => {
      const done = { state: { terminated: { exitCode: 0, reason: 'Completed' } } };
      expect(
        find({ pods: [initContainer(done), initContainer({ state: { running: {} } })] }),
      ).toEqual([]);
    });
  });

  describe('containers that cannot be made', () => {
    it.each([
      ['CreateContainerConfigError', 'secret "keys" not found', 'fatal', /Create the secret keys/],
      [
        'CreateContainerConfigError',
        'failed to sync configmap cache: timed out waiting for the condition',
        'stuck',
        /pod-template/,
      ],
      ['CreateContainerError', 'context deadline exceeded', 'stuck', /moby\/buildkit/],
      [
        'RunContainerError',
        'failed to create containerd task: apparmor failed to apply profile',
        'fatal',
        /AppArmor.*mode=/,
      ],
      [
        'RunContainerError',
        'runc create failed: failed to mount: idmapped mounts are not supported',
        'fatal',
        /mode=userns needs Linux/,
      ],
    ])('%s: %s', (reason, message, severity, hint) => {
      expect(find({ pods: [waitingFor(reason, message)] })).toMatchObject([
        {
          severity,
          code: 'BUILDER_CRASHED',
          text: `the node cannot start buildkitd in pod b-1: ${reason}: ${message}`,
          hint: expect.stringMatching(hint),
        },
      ]);
    });
  });

  describe('events', () => {
    const claimed: Pod = {
      ...pod({ phase: 'Pending' }),
      spec: { volumes: [{ name: 'state', persistentVolumeClaim: { claimName: 'state-b-0' } }] },
    };
    const onClaim = (reason: string, message: string): KubeEvent =>
      event(reason, message, {
        involvedObject: { kind: 'PersistentVolumeClaim', name: 'state-b-0', uid: 'c1' },
      });

    it.each([
      [
        'ProvisioningFailed',
        'storageclass.storage.k8s.io "nope" not found',
        'fatal',
        /storage-class/,
      ],
      [
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
        'stuck',
        /no default class/,
      ],
      [
        'ProvisioningFailed',
        'failed to provision volume with StorageClass "fast": rpc error: code = InvalidArgument desc = size',
        'stuck',
        /persistent-volume-claim/,
      ],
      [
        'ProvisioningFailed',
        'failed to provision volume with StorageClass "fast": rpc error: code = DeadlineExceeded',
        'waiting',
        /provisioner/,
      ],
    ])('of a claim: %s %s', (reason, message, severity, hint) => {
      const found = find({ pods: [claimed], events: [onClaim(reason, message)] });
      expect(found).toMatchObject([
        {
          severity,
          code: 'BUILDER_VOLUME',
          text: `volume claim state-b-0 gets no volume: ${message}`,
          hint: expect.stringMatching(hint),
        },
      ]);
    });

    it('of a claim that waits as it should are nothing to tell', () => {
      const message = 'waiting for first consumer to be created before binding';
      expect(find({ pods: [claimed], events: [onClaim('WaitForFirstConsumer', message)] })).toEqual(
        [],
      );
    });

    it('do not tell of a node that has not read a Secret yet', () => {
      const message = 'MountVolume.SetUp failed for volume "tls" : failed to sync secret cache';
      const tries = (count: number) =>
        find({ events: [{ ...event('FailedMount', message), count }] });
      expect(tries(2)).toEqual([]);
      expect(tries(3)).toMatchObject([{ text: `a volume cannot be mounted: ${message}` }]);
    });

    it('tell of volumes that do not come, which Kubernetes may mend', () => {
      const multi =
        'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other-0';
      const mount = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found';
      const events = [event('FailedAttachVolume', multi), event('FailedMount', mount)];
      expect(find({ events })).toMatchObject([
        {
          severity: 'waiting',
          text: `volume pvc-1 is still attached to another node: ${multi}`,
          hint: expect.stringContaining('six minutes'),
        },
        {
          severity: 'waiting',
          text: `a volume cannot be mounted: ${mount}`,
          hint: expect.stringContaining('Create the secret keys'),
        },
      ]);
    });

    it('tell of sandboxes in the same words each time', () => {
      const failed = (id: string): KubeEvent =>
        event('FailedCreatePodSandBox', `failed to setup network for sandbox "${id}": no cni`);
      const found = find({ events: [failed('a'.repeat(64)), failed('b'.repeat(64))] });
      expect(new Set(found.map(({ text }) => text)).size).toBe(1);
      expect(found[0]?.severity).toBe('waiting');
    });

    it('end the wait where the node cannot do user namespaces', () => {
      const message =
        "failed to create sandbox: the handler 'runc' does not support user namespaces";
      expect(find({ events: [event('FailedCreatePodSandBox', message)] })).toMatchObject([
        { severity: 'stuck', code: 'BUILDER_CRASHED', hint: expect.stringContaining('rootless') },
      ]);
    });

    it('of a StatefulSet tell why it makes no pods', () => {
      const message =
        'create Pod b-0 in StatefulSet b failed error: pods "b-0" is forbidden: exceeded quota: ci, requested: cpu=1';
      const created = event('FailedCreate', message, {
        involvedObject: { kind: 'StatefulSet', name: 'b', uid: 's1' },
      });
      expect(find({ events: [created] })).toMatchObject([
        {
          severity: 'fatal',
          code: 'BUILDER_QUOTA',
          text: 'the cluster does not create the pods: exceeded quota: ci, requested: cpu=1',
        },
      ]);
    });

    it('say the same as the condition of a ReplicaSet only once', () => {
      const message = 'Error creating: pods "b-1" is forbidden: exceeded quota: ci';
      const workloads = [refused('pods "b-2" is forbidden: exceeded quota: ci')];
      expect(find({ workloads, events: [event('FailedCreate', message)] })).toHaveLength(1);
    });

    it('do not matter any more once the pod runs', () => {
      const running = daemon({ state: { running: {} } });
      const events = [event('FailedMount', 'x'), event('NotTriggerScaleUp', 'y')];
      expect(find({ pods: [running], events })).toEqual([]);
    });

    it('tell what an autoscaler does', () => {
      expect(
        find({ events: [event('NotTriggerScaleUp', "pod didn't trigger scale-up: 1 max")] }),
      ).toMatchObject([{ severity: 'waiting', text: 'no node is being added: 1 max' }]);
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

    it.each([
      ['maximum memory usage per Container is 1Gi, but limit is 2Gi', /limits/],
      ['minimum cpu usage per Container is 100m, but request is 10m', /requests/],
      ['violates PodSecurity "baseline:latest": privileged', /pod-security|mode=/],
      ['admission webhook "x" denied the request: no', /policy/],
    ])('hint at what to change: %s', (message, hint) => {
      expect(find({ workloads: [refused(`pods "b" is forbidden: ${message}`)] })).toMatchObject([
        { severity: 'fatal', hint: expect.stringMatching(hint) },
      ]);
    });

    it('by a webhook that does not answer may pass', () => {
      const message = 'Internal error occurred: failed calling webhook "x": connection refused';
      expect(find({ workloads: [refused(message)] })).toMatchObject([
        { severity: 'stuck', hint: expect.stringContaining('does not answer') },
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
