import { daemonStatus, isEnding } from '../pod-state.ts';
import type { Pod } from '../kube-objects.ts';

/**
 * The pods that a new build may go to.
 *
 * Not those that leave, nor those that are about to be evicted or that no longer answer their probe,
 * nor those on nodes that are being emptied, as far as that is known. Where this leaves none, the
 * last two kinds are better than nothing.
 */
export function usablePods(
  pods: readonly Pod[],
  leavingNodes: ReadonlySet<string> = new Set(),
): Pod[] {
  const staying = pods.filter((pod) => !isEnding(pod) && !isBeingEvicted(pod));
  const sound = staying.filter((pod) => !hasLostReadiness(pod));
  const settled = sound.filter(({ spec }) => !leavingNodes.has(spec?.nodeName ?? ''));
  return [settled, sound, staying].find((some) => some.length > 0) ?? [];
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
