import type { V1Deployment, V1OwnerReference, V1StatefulSet } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { deployment } from './deployment.ts';
import { statefulSet } from './stateful-set.ts';

/** What runs the pods: a StatefulSet where each has a claim, else a Deployment. */
export function workload(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1Deployment | V1StatefulSet {
  const { stateVolume } = spec.driver;
  return stateVolume.kind === 'claim'
    ? statefulSet(spec, stateVolume, owner)
    : deployment(spec, owner);
}
