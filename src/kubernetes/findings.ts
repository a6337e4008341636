import { containerFindings } from './container-findings.ts';
import { eventFindings } from './event-findings.ts';
import { type Finding, type Snapshot, waiting, type Wanted } from './finding.ts';
import type { KubeEvent, Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import { isEnding } from './pod-state.ts';
import { refusedPods } from './refused-pods.ts';
import { condenseScheduling } from './scheduling.ts';

/** Everything that is to be said, the most general first. */
export function findAll(snapshot: Snapshot, wanted: Wanted): Finding[] {
  const { workloads, events, pods } = snapshot;
  const hasPods = pods.some((pod) => !isEnding(pod));
  return [
    ...refusedPods(workloads, events, hasPods),
    ...eventFindings(snapshot),
    ...pods.flatMap((pod) => podFindings(pod, snapshot, wanted)),
  ];
}

/** Whether the pod will not come without help, so that another one is to be preferred. */
export function isHopeless(pod: Pod, snapshot: Snapshot, wanted: Wanted): boolean {
  return (
    unschedulableMessage(pod) !== undefined ||
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
  return unschedulable === undefined
    ? containerFindings(pod, snapshot, wanted)
    : [schedulingFinding(unschedulable, wanted)];
}

function unschedulableMessage(pod: Pod): string | undefined {
  const condition = (pod.status?.conditions ?? []).find(
    ({ type, status, reason }) =>
      type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
  return condition?.message;
}

function schedulingFinding(message: string, wanted: Wanted): Finding {
  const selects = Object.keys(wanted.nodeSelector ?? {}).length > 0;
  const kind = wanted.platform === undefined ? 'operating system' : 'architecture';
  const { text, permanent, isAboutVolumes } = condenseScheduling(
    message,
    `wrong ${kind}${selects ? ' or labels' : ''}`,
  );
  const forWhat = wanted.platform === undefined ? '' : ` for ${wanted.platform}`;
  return {
    severity: permanent ? 'stuck' : 'waiting',
    code: isAboutVolumes ? 'BUILDER_VOLUME' : 'BUILDER_UNSCHEDULABLE',
    text: `no node${forWhat}: ${text}`,
    hint: isAboutVolumes
      ? 'Check persistent-volume-claim.* in driver-opts, and the volumes and storage classes of the cluster.'
      : permanent
        ? `Add a node that fits, or change platforms${selects ? ' or nodeselector in driver-opts' : ''}.`
        : 'Lower requests.* in driver-opts, or wait until other pods are done.',
  };
}
