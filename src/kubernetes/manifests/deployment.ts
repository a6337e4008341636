import type { V1Deployment, V1OwnerReference } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { objectMetadata, selectorLabels } from './labels.ts';
import { podTemplate } from './pod-template.ts';

/** The workload of a builder whose state goes with its pods. */
export function deployment(spec: BuilderSpec, owner: V1OwnerReference | undefined): V1Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: objectMetadata(spec, owner),
    spec: {
      replicas: spec.driver.replicas,
      revisionHistoryLimit: 0,
      selector: { matchLabels: selectorLabels(spec) },
      template: podTemplate(spec),
    },
  };
}
