import type { Pod } from '../kube-objects.ts';
import type { PodOrder } from './pod-order.ts';
import { usablePods } from './usable-pods.ts';

/**
 * The pod to wait for: the favourite, or the next one where that cannot come.
 *
 * Undefined while pods are still to be made that could be preferred, unless `settled` says that no
 * more will.
 */
export function choosePod(
  pods: readonly Pod[],
  options: {
    readonly order: PodOrder;
    readonly replicas: number;
    readonly settled: boolean;
    readonly isHopeless: (pod: Pod) => boolean;
  },
): Pod | undefined {
  const ranked = options.order(usablePods(pods));
  if (ranked.length < options.replicas && !options.settled) return undefined;
  return ranked.find((pod) => !options.isHopeless(pod));
}
