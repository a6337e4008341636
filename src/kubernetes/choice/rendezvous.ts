import { hash } from 'node:crypto';
import type { Pod } from '../kube-objects.ts';

/**
 * Orders pods for a key by rendezvous hashing: the pod whose name hashes highest with the key first.
 *
 * The same key prefers the same pod, whatever the order in which they come; when a pod goes only its
 * own keys move, each to the pod that was next for it.
 */
export function rankByRendezvous(pods: readonly Pod[], key: string): Pod[] {
  return pods
    .map((pod) => ({ pod, score: hash('sha256', `${key}\0${pod.metadata.name}`) }))
    .sort((a, b) => (a.score < b.score ? 1 : -1))
    .map(({ pod }) => pod);
}
