import type { ContainerStatus, Pod, TerminatedState } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';

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

/** The condition of this type, if it is true. */
export function trueCondition(
  pod: Pod | undefined,
  type: string,
): { readonly reason?: string; readonly message?: string } | undefined {
  return (pod?.status?.conditions ?? []).find(
    (each) => each.type === type && each.status === 'True',
  );
}

/** Whether no scheduler has said anything of the pod, though one is named to. */
export function isUnseen({ spec, status }: Pod): boolean {
  return (
    spec?.schedulerName !== undefined &&
    spec.nodeName === undefined &&
    (status?.conditions ?? []).every(({ type }) => type !== 'PodScheduled')
  );
}

/** How a container ended, in words. */
export function describeEnd(ended: TerminatedState, memoryLimit: string | undefined): string {
  if (ended.reason === 'OOMKilled') {
    return `was killed for using more memory than ${memoryLimit === undefined ? 'there is' : `its limit of ${memoryLimit}`} (OOMKilled)`;
  }
  const message = ended.message === undefined ? '' : `: ${ended.message.trim()}`;
  return `ended with exit code ${ended.exitCode}${message}`;
}
