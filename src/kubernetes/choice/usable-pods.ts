import { daemonStatus, isEnding } from '../pod-state.ts';
import type { Pod } from '../kube-objects.ts';

/**
 * The pods that a new build may go to.
 *
 * Not those that leave or are about to be evicted, nor those that no longer answer their probe, unless
 * there are no others.
 */
export function usablePods(pods: readonly Pod[]): Pod[] {
  const staying = pods.filter((pod) => !isEnding(pod) && !isBeingEvicted(pod));
  const sound = staying.filter((pod) => !hasLostReadiness(pod));
  return sound.length > 0 ? sound : staying;
}

/** Set before a pod is deleted by an eviction, a preemption or a taint of its node. */
function isBeingEvicted(pod: Pod): boolean {
  return conditionOf(pod, 'DisruptionTarget')?.status === 'True';
}

/** Whether the daemon was ready and is no longer; one that has just started is not ready yet. */
function hasLostReadiness(pod: Pod): boolean {
  const ready = conditionOf(pod, 'Ready');
  if (ready?.status !== 'False') return false;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  const startedAt = Date.parse(daemonStatus(pod)?.state?.running?.startedAt ?? '');
  return since > startedAt;
}

function conditionOf(pod: Pod, type: string) {
  return (pod.status?.conditions ?? []).find((condition) => condition.type === type);
}
