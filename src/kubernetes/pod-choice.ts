import { createHash } from 'node:crypto';
import { isEnding } from './findings.ts';
import type { Pod } from './kube-objects.ts';

/**
 * Orders pods for a key by rendezvous hashing: the same key prefers the same pod, and when a pod
 * goes only its own keys move.
 */
export function rankPods(pods: readonly Pod[], affinityKey: string): Pod[] {
  const score = (pod: Pod): string =>
    createHash('sha256').update(`${affinityKey}\0${pod.metadata.name}`).digest('hex');
  return pods
    .filter((pod) => !isEnding(pod))
    .map((pod) => ({ pod, score: score(pod) }))
    .sort((a, b) => (a.score < b.score ? 1 : -1))
    .map(({ pod }) => pod);
}

/**
 * The pod to wait for: the favourite, or the next one where that cannot come.
 *
 * Undefined while pods are still to be made that could be preferred, unless `settled` says that no
 * more will.
 */
export function choosePod(
  pods: readonly Pod[],
  options: {
    readonly affinityKey: string;
    readonly replicas: number;
    readonly settled: boolean;
    readonly isHopeless: (pod: Pod) => boolean;
  },
): Pod | undefined {
  const ranked = rankPods(pods, options.affinityKey);
  if (ranked.length < options.replicas && !options.settled) return undefined;
  return ranked.find((pod) => !options.isHopeless(pod));
}
