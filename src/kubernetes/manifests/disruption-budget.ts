import type { V1OwnerReference, V1PodDisruptionBudget } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { objectMetadata, selectorLabels } from './labels.ts';

/**
 * Lets nodes be drained of a pool's pods one at a time; undefined for what is no pool.
 *
 * Each pod that goes takes up to its `drain-timeout` to end its builds, and the next one waits for
 * its successor. Not `minAvailable`: a pool of one would keep its node from ever being drained.
 */
export function disruptionBudget(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1PodDisruptionBudget | undefined {
  if (!spec.isPool) return undefined;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: objectMetadata(spec, owner),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selectorLabels(spec) },
      // A pod that never got ready has no build to protect.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}
