import type { BuilderSpec } from '../builder-spec.ts';
import { KubernetesError } from '../errors.ts';
import { workloadResource } from '../existing-builder.ts';
import type { LimitRange, ResourceQuota } from '../kube-objects.ts';
import { findBreaches, withDefaults } from './limits.ts';
import type { PodJudgement } from './pods.ts';
import { findShortfalls } from './quota.ts';

/** What bounds a namespace; unset where it may not be read. */
export interface Bounds {
  readonly quotas: readonly ResourceQuota[] | undefined;
  readonly ranges: readonly LimitRange[] | undefined;
}

/** What is to be made. */
export interface Planned extends Pick<PodJudgement, 'pod' | 'isAdmitted'> {
  readonly spec: BuilderSpec;
  /** Whether certificates will be kept in a Secret. */
  readonly hasTls: boolean;
}

/** The error for a builder that the namespace has no room for: all that is short, at once. */
export function noRoom(
  { spec, hasTls, pod, isAdmitted }: Planned,
  { quotas = [], ranges = [] }: Bounds,
): KubernetesError | undefined {
  const { namespace, driver } = spec;
  const { replicas, stateVolume } = driver;
  const claim = stateVolume.kind === 'claim' ? stateVolume : undefined;
  const whole = isAdmitted ? pod : withDefaults(pod, ranges);
  const demand = { pod: whole, replicas, objects: objectsOf(spec, hasTls), claim };
  const shortfalls = findShortfalls(quotas, demand);
  if (shortfalls.length > 0) {
    return new KubernetesError(
      'BUILDER_QUOTA',
      `namespace "${namespace}" has no room for the builder: ${shortfalls.map(({ text }) => text).join('; ')}`,
      { hint: [...new Set(shortfalls.map(({ hint }) => hint))].join(' ') },
    );
  }
  const breaches = findBreaches(ranges, {
    // Admission has judged the pod itself.
    pod: isAdmitted ? { containers: [] } : whole,
    storage: claim?.storage,
  });
  if (breaches.length === 0) return undefined;
  return new KubernetesError(
    'BUILDER_REFUSED',
    `namespace "${namespace}" does not allow the builder: ${breaches.join('; ')}`,
    {
      hint: 'Change requests.*, limits.* or the size of the claim in driver-opts to what it allows.',
    },
  );
}

/** Counts by resource and group, of what is made beside the pods. */
function objectsOf(spec: BuilderSpec, hasTls: boolean): Record<string, number> {
  const { files, isPool } = spec;
  const made =
    workloadResource(spec) === 'deployments'
      ? { 'deployments.apps': 1, 'replicasets.apps': 1 }
      : { 'statefulsets.apps': 1, 'controllerrevisions.apps': 1 };
  const hasFiles = (secret: boolean): number =>
    files.some((file) => file.secret === secret) ? 1 : 0;
  return {
    ...made,
    ...(isPool ? { 'poddisruptionbudgets.policy': 1 } : { 'jobs.batch': 1 }),
    configmaps: hasFiles(false) + (isPool ? 1 : 0),
    secrets: hasFiles(true) + (hasTls ? 1 : 0),
  };
}
