import type { ResourceQuantities } from '../options/options.ts';
import type { KubernetesErrorCode } from './errors.ts';
import { explainRefusal } from './kube-failure.ts';
import type { ContainerStatus, KubeEvent, Pod, TerminatedState, Workload } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import { condenseScheduling } from './scheduling.ts';

/**
 * What a finding means for the wait.
 *
 * `waiting`: the reason to name when time is up. `stuck`: ends the wait when
 * it lasts and nobody adds nodes. `fatal`: ends it at once.
 */
export type Severity = 'waiting' | 'stuck' | 'fatal';

/** Something about the builder that the user should know. */
export interface Finding {
  readonly severity: Severity;
  /** One clause without a full stop; said once. */
  readonly text: string;
  readonly code: KubernetesErrorCode;
  readonly hint: string | undefined;
  /** Whose log tells more. */
  readonly crashed?: { readonly pod: string; readonly previous: boolean };
}

/** What the cluster shows of one builder. */
export interface Snapshot {
  readonly workloads: readonly Workload[];
  readonly pods: readonly Pod[];
  readonly events: readonly KubeEvent[];
  /** Failed pulls so far, by pod uid. */
  readonly failedPulls: ReadonlyMap<string, number>;
}

/** What was asked for, to name it. */
export interface Wanted {
  readonly image: string;
  /** Such as `linux/arm64`; undefined when any Linux node will do. */
  readonly platform: string | undefined;
  readonly limits: ResourceQuantities;
}

/** Everything that is to be said, the most general first. */
export function findAll(snapshot: Snapshot, wanted: Wanted): Finding[] {
  const alive = snapshot.pods.some((pod) => !isEnding(pod));
  return [
    ...snapshot.workloads.flatMap((workload) => workloadFindings(workload, alive)),
    ...snapshot.events.flatMap(eventFinding),
    ...snapshot.pods.flatMap((pod) => podFindings(pod, snapshot, wanted)),
  ];
}

/** Whether a node is being added for our pods, by the cluster autoscaler or Karpenter. */
export function isScalingUp(events: readonly KubeEvent[]): boolean {
  return events.some(({ reason }) => reason === 'TriggeredScaleUp' || reason === 'Nominated');
}

/** Whether an autoscaler has looked at our pods and will not add a node. */
export function refusesScaleUp(events: readonly KubeEvent[]): boolean {
  return events.some(({ reason }) => reason === 'NotTriggerScaleUp');
}

/** Whether the pod is being deleted or will never run again. */
export function isEnding(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return (
    pod.metadata.deletionTimestamp !== undefined || phase === 'Failed' || phase === 'Succeeded'
  );
}

/** The status of the daemon's container; a mesh may have put others in front. */
export function daemonStatus(pod: Pod): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === containerName);
}

/** Whether the daemon's container runs, as far as the node has reported. */
export function isRunning(pod: Pod): boolean {
  return !isEnding(pod) && daemonStatus(pod)?.state?.running !== undefined;
}

function isUnschedulable(pod: Pod): boolean {
  return unschedulableMessage(pod) !== undefined;
}

/** How a container ended, in words. */
export function describeEnd(ended: TerminatedState, memoryLimit: string | undefined): string {
  if (ended.reason === 'OOMKilled') {
    return `was killed for using more memory than ${memoryLimit === undefined ? 'there is' : `its limit of ${memoryLimit}`} (OOMKilled)`;
  }
  const message = ended.message === undefined ? '' : `: ${ended.message.trim()}`;
  return `ended with exit code ${ended.exitCode}${message}`;
}

function workloadFindings(workload: Workload, hasPods: boolean): Finding[] {
  const failure = (workload.status?.conditions ?? []).find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  if (failure?.message === undefined) return [];
  const message = failure.message.replace(/^(Error creating: )?pods "[^"]*" is forbidden: /, '');
  const { code, hint } = explainRefusal(message);
  // A namespace that was just made has no service account for a moment; webhooks may be restarting.
  const passing = /serviceaccount .*not found|failed calling webhook/.test(message);
  const severity = hasPods ? 'waiting' : passing ? 'stuck' : 'fatal';
  return [{ severity, code, hint, text: `the cluster does not create the pods: ${message}` }];
}

/** Whether the pod will not come without help, so that another one is to be preferred. */
export function isHopeless(pod: Pod, snapshot: Snapshot, wanted: Wanted): boolean {
  return (
    isUnschedulable(pod) ||
    podFindings(pod, snapshot, wanted).some(({ severity }) => severity === 'fatal')
  );
}

/** Whether the node has said that the daemon's container was started, before the pod's status does. */
export function hasStarted(pod: Pod, events: readonly KubeEvent[]): boolean {
  return events.some(
    ({ reason, involvedObject }) =>
      reason === 'Started' &&
      involvedObject.uid === pod.metadata.uid &&
      involvedObject.fieldPath === `spec.containers{${containerName}}`,
  );
}

function podFindings(pod: Pod, snapshot: Snapshot, wanted: Wanted): Finding[] {
  if (pod.metadata.deletionTimestamp !== undefined) return [];
  if (pod.status?.phase === 'Failed') {
    const { reason = 'failed', message = '' } = pod.status;
    return [waiting(`pod ${pod.metadata.name} has ended: ${[reason, message].join(': ')}`)];
  }
  const unschedulable = unschedulableMessage(pod);
  if (unschedulable !== undefined) return [schedulingFinding(unschedulable, wanted)];
  const status = daemonStatus(pod);
  if (status === undefined) return [];
  return [
    crashFinding(pod, status, wanted) ?? waitingFinding(pod, status, snapshot, wanted),
  ].filter((finding) => finding !== undefined);
}

function unschedulableMessage(pod: Pod): string | undefined {
  const condition = (pod.status?.conditions ?? []).find(
    ({ type, status, reason }) =>
      type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
  return condition?.message;
}

function schedulingFinding(message: string, wanted: Wanted): Finding {
  const { text, permanent } = condenseScheduling(message, wanted.platform !== undefined);
  const forWhat = wanted.platform === undefined ? '' : ` for ${wanted.platform}`;
  return {
    severity: permanent ? 'stuck' : 'waiting',
    code: 'BUILDER_UNSCHEDULABLE',
    text: `no node${forWhat}: ${text}`,
    hint: permanent
      ? 'Add a node that fits, or change platforms.'
      : 'Lower requests.* in driver-opts, or wait until other pods are done.',
  };
}

function crashFinding(pod: Pod, status: ContainerStatus, wanted: Wanted): Finding | undefined {
  const now = status.state?.terminated;
  const before = status.state?.running === undefined ? status.lastState?.terminated : undefined;
  const ended = now ?? before;
  if (ended === undefined) return undefined;
  const outOfMemory = ended.reason === 'OOMKilled';
  return {
    severity: 'fatal',
    code: 'BUILDER_CRASHED',
    text: `buildkitd ${describeEnd(ended, wanted.limits.memory)} in pod ${pod.metadata.name}`,
    hint: outOfMemory
      ? 'Raise limits.memory in driver-opts.'
      : 'Its log tells why; check buildkitd-config and the image.',
    crashed: { pod: pod.metadata.name, previous: now === undefined },
  };
}

const pullReasons = new Set(['ErrImagePull', 'ImagePullBackOff']);
const badImageReasons = new Set(['InvalidImageName', 'ErrImageNeverPull']);
/** The node could not make the container out of what we asked for, and would fail again. */
const badContainerReasons = new Set(['CreateContainerConfigError', 'RunContainerError']);
/** What a registry says that will not change by asking again. */
const decisivePull =
  /not found|manifest unknown|unauthorized|denied|authorization failed|no such host|does not exist|invalid reference/i;

function waitingFinding(
  pod: Pod,
  status: ContainerStatus,
  snapshot: Snapshot,
  wanted: Wanted,
): Finding | undefined {
  const { reason = '', message = '' } = status.state?.waiting ?? {};
  const said = message === '' ? reason : `${reason}: ${message}`;
  if (badImageReasons.has(reason)) return pullFinding('fatal', said, wanted);
  if (pullReasons.has(reason)) {
    const failures = snapshot.failedPulls.get(pod.metadata.uid) ?? 0;
    const final = decisivePull.test(message) || failures >= 2;
    return pullFinding(final ? 'fatal' : 'waiting', said, wanted);
  }
  if (badContainerReasons.has(reason) || reason === 'CreateContainerError') {
    return {
      // The last one may be a runtime that is only slow.
      severity: reason === 'CreateContainerError' ? 'stuck' : 'fatal',
      code: 'BUILDER_CRASHED',
      text: `the node cannot start buildkitd in pod ${pod.metadata.name}: ${said}`,
      hint: 'Check that the image is one of moby/buildkit.',
    };
  }
  return undefined;
}

function pullFinding(severity: Severity, said: string, wanted: Wanted): Finding {
  return {
    severity,
    code: 'BUILDER_IMAGE_PULL',
    text: `the builder's image ${wanted.image} cannot be pulled: ${said}`,
    hint: pullHint(said),
  };
}

function pullHint(said: string): string {
  if (/429|toomanyrequests/i.test(said)) {
    return 'The registry limits pulls: use a mirror of the image with image= in driver-opts.';
  }
  if (/unauthorized|denied|authorization|403/i.test(said)) {
    return 'Check image= in driver-opts; a private image needs a pull secret in the service account of the namespace.';
  }
  return 'Check image= in driver-opts, and that the nodes reach its registry.';
}

/** Events that say what is going on; failures are read from the objects, which keep them. */
function eventFinding(event: KubeEvent): Finding[] {
  const message = event.message ?? '';
  switch (event.reason ?? '') {
    case 'Pulling':
      return [waiting(`pulling image ${/"([^"]+)"/.exec(message)?.[1] ?? ''}`.trim())];
    case 'TriggeredScaleUp':
    case 'Nominated':
      return [waiting(`a node is being added: ${message}`)];
    case 'FailedMount':
    case 'FailedAttachVolume':
    case 'FailedCreatePodSandBox':
    case 'NetworkNotReady':
    case 'Evicted':
    case 'Preempted':
      return [waiting(`${event.reason ?? ''}: ${message}`)];
    default:
      return [];
  }
}

function waiting(text: string): Finding {
  return { severity: 'waiting', text, code: 'BUILDER_TIMEOUT', hint: undefined };
}
