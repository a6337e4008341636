import type { V1ConfigMap } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { objectMetadata } from './labels.ts';

/** What owns the objects of a pool: it does not expire, and deleting it removes all of them. */
export function ownerConfigMap(spec: BuilderSpec): V1ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: objectMetadata(spec, undefined, spec.name),
  };
}
