import type { V1ObjectMeta, V1OwnerReference } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { platformText } from '../names.ts';

/** The container that runs the daemon; a mesh may add others. */
export const containerName = 'buildkitd';

/** The namespace of our annotations and of the labels that Kubernetes does not define. */
const prefix = 'kube-buildx-action';

/** Random per step: what tells our own objects from those of another step. */
export const creatorAnnotation = `${prefix}/creator`;

/** Of what an object was made from; see `specHash`. */
export const specHashAnnotation = `${prefix}/spec-hash`;

/** How long a workload without an owner may live after its creation, in seconds. */
export const maxLifetimeAnnotation = `${prefix}/max-lifetime-seconds`;

/** How many pods a builder has when it is not scaled to zero to keep its state. */
export const replicasAnnotation = `${prefix}/replicas`;

const managedBy = { 'app.kubernetes.io/managed-by': prefix } as const;

/** Autoscalers must not move a pod that is building. */
export const stayAnnotations = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
} as const;

/** Selects everything of ours. */
export const managedSelector = selectorText(managedBy);

/** What everything of one builder carries. */
export function builderLabels(name: string): Record<string, string> {
  return { ...managedBy, 'app.kubernetes.io/instance': name };
}

/** Selects everything of one builder. */
export function builderSelector(name: string): string {
  return selectorText(builderLabels(name));
}

/** Labels as a selector. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Whether an object was made for this builder, by anyone. */
export function belongsTo(
  name: string,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return (
    labels?.['app.kubernetes.io/managed-by'] === prefix &&
    labels['app.kubernetes.io/instance'] === name
  );
}

/** Of an object of the builder; by default it is called as the workload is. */
export function objectMetadata(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
  name = spec.workload,
): V1ObjectMeta {
  return {
    name,
    namespace: spec.namespace,
    labels: { ...spec.driver.labels, ...selectorLabels(spec), ...labelsOfRun(spec) },
    annotations: {
      ...spec.driver.annotations,
      ...annotationsOfSpec(spec),
      ...annotationsOfRun(spec),
    },
    ...(owner === undefined ? {} : { ownerReferences: [owner] }),
  };
}

/**
 * Of the pods.
 *
 * Those of a shared builder tell of no single run, or each run would replace them; they are kept
 * from autoscalers only while somebody builds there.
 */
export function podMetadata(
  spec: BuilderSpec,
): Required<Pick<V1ObjectMeta, 'labels' | 'annotations'>> {
  const { labels, annotations } = spec.driver;
  return {
    labels: { ...labels, ...selectorLabels(spec), ...(spec.isShared ? {} : labelsOfRun(spec)) },
    annotations: {
      ...annotations,
      ...annotationsOfSpec(spec),
      ...(spec.isShared ? {} : { ...annotationsOfRun(spec), ...stayAnnotations }),
    },
  };
}

/** What tells the pods of one workload from all others, also from those of the same builder. */
export function selectorLabels(spec: BuilderSpec): Record<string, string> {
  return {
    ...managedBy,
    'app.kubernetes.io/instance': spec.name,
    // What tells the workloads of one builder apart.
    'app.kubernetes.io/component': spec.workload.slice(spec.name.length + 1),
  };
}

function labelsOfRun({ identity }: BuilderSpec): Record<string, string> {
  const { runId, jobId } = identity;
  return withoutEmpty({ [`${prefix}/run-id`]: runId, [`${prefix}/job-id`]: jobId });
}

function annotationsOfSpec({ identity, platform }: BuilderSpec): Record<string, string> {
  return withoutEmpty({
    [specHashAnnotation]: identity.specHash,
    'buildx.docker.com/platform': platform === undefined ? '' : platformText(platform),
  });
}

function annotationsOfRun({ identity }: BuilderSpec): Record<string, string> {
  return withoutEmpty({
    [`${prefix}/repository`]: identity.repository,
    [`${prefix}/sha`]: identity.sha,
    [`${prefix}/run-url`]: identity.runUrl,
    [`${prefix}/run-attempt`]: identity.runAttempt,
    [`${prefix}/version`]: identity.version,
    [creatorAnnotation]: identity.creator,
  });
}

function withoutEmpty(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
