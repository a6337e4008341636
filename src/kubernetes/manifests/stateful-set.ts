import type {
  V1OwnerReference,
  V1PersistentVolumeClaim,
  V1StatefulSet,
} from '@kubernetes/client-node';
import type { StateVolume } from '../../options/options.ts';
import type { BuilderSpec } from '../builder-spec.ts';
import { objectMetadata, selectorLabels } from './labels.ts';
import { podTemplate } from './pod-template.ts';
import { stateVolumeName } from './volumes.ts';

/** The workload of a builder with a claim for each of its pods. */
export function statefulSet(
  spec: BuilderSpec,
  claim: Extract<StateVolume, { kind: 'claim' }>,
  owner: V1OwnerReference | undefined,
): V1StatefulSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: objectMetadata(spec, owner),
    spec: {
      replicas: spec.driver.replicas,
      revisionHistoryLimit: 0,
      // Nobody looks the pods up by name, so there need not be a Service of that name.
      serviceName: spec.workload,
      podManagementPolicy: 'Parallel',
      // Claims of a pool that is scaled down wait for it to grow again.
      persistentVolumeClaimRetentionPolicy: {
        whenDeleted: spec.keepsState ? 'Retain' : 'Delete',
        whenScaled: 'Retain',
      },
      selector: { matchLabels: selectorLabels(spec) },
      template: podTemplate(spec),
      volumeClaimTemplates: [claimTemplate(spec, claim, owner)],
    },
  };
}

/**
 * Servers before Kubernetes 1.27 do not know the retention policy, so the claims of a builder that
 * expires have its owner too. Those of pools do not: the template of a claim can never be changed.
 */
function claimTemplate(
  { isPool }: BuilderSpec,
  { storage, storageClass, accessMode }: Extract<StateVolume, { kind: 'claim' }>,
  owner: V1OwnerReference | undefined,
): V1PersistentVolumeClaim {
  return {
    metadata: {
      name: stateVolumeName,
      ...(isPool || owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      accessModes: [accessMode],
      ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
      resources: { requests: { storage } },
    },
  };
}
