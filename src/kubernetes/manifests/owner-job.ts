import type { V1Job, V1OwnerReference } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { objectMetadata } from './labels.ts';

/**
 * The Job that owns everything else and expires.
 *
 * With `parallelism: 0` it never runs a pod. At its deadline the Job controller fails it, the TTL
 * controller deletes it, and the garbage collector takes what names it as owner: no controller of
 * ours is needed. `activeDeadlineSeconds` may be changed while it lives, which prolongs it.
 */
export function ownerJob(
  spec: BuilderSpec,
  options: {
    readonly activeDeadlineSeconds: number;
    readonly owner: V1OwnerReference | undefined;
  },
): V1Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: objectMetadata(spec, options.owner, spec.name),
    spec: {
      parallelism: 0,
      completions: 1,
      backoffLimit: 0,
      activeDeadlineSeconds: options.activeDeadlineSeconds,
      ttlSecondsAfterFinished: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          containers: [{ name: 'never-runs', image: spec.image }],
        },
      },
    },
  };
}
