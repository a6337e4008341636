import { randomUUID } from 'node:crypto';
import type { LoadBalance } from '../../options/options.ts';
import type { Pod } from '../kube-objects.ts';
import { rankByBuildxRing } from './buildx-ring.ts';
import { rankByRendezvous } from './rendezvous.ts';

/** Orders pods by preference; the same pods always come in the same order. */
export type PodOrder = (pods: readonly Pod[]) => Pod[];

/** What a choice sticks to. */
export interface ChoiceKeys {
  /** Builds of the same key go to the same pod. */
  readonly affinityKey: string;
  /** What buildx would hash for this build, as `buildxAffinityKey` makes it. */
  readonly buildxKey: string;
}

/**
 * The order that a strategy has before it knows what runs on the pods.
 *
 * `random` draws once, here, so that a choice asked for again is the same.
 */
export function podOrder(strategy: LoadBalance, keys: ChoiceKeys): PodOrder {
  if (strategy === 'buildx') return (pods) => rankByBuildxRing(pods, keys.buildxKey);
  const key = strategy === 'random' ? randomUUID() : keys.affinityKey;
  return (pods) => rankByRendezvous(pods, key);
}
