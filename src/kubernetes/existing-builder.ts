/** Builders with a name, which may be there already: made by us, by another job, or by buildx. */
import type { BuilderSpec } from './builder-spec.ts';
import { KubernetesError } from './errors.ts';
import type { KubeClient, Observed } from './kube-client.ts';
import { isForbidden, isNotFound } from './kube-failure.ts';
import type { Workload } from './kube-objects.ts';
import { belongsTo, containerName, selectorText } from './manifests/labels.ts';
import { platformText } from './names.ts';

export type WorkloadResource = 'deployments' | 'statefulsets';

/** The workload of one node of a builder, as it is. */
export interface ExistingWorkload {
  readonly resource: WorkloadResource;
  readonly workload: Observed<Workload>;
  /** Those of buildx are used and never changed. */
  readonly madeBy: 'us' | 'buildx';
}

const platformAnnotation = 'buildx.docker.com/platform';

/** What kind of workload a specification asks for: only a StatefulSet can have claims. */
export function workloadResource({ driver }: BuilderSpec): WorkloadResource {
  return driver.stateVolume.kind === 'claim' ? 'statefulsets' : 'deployments';
}

/**
 * Finds the workload of a named builder: our own by its name, else one that buildx made.
 *
 * Undefined when there is none or it is being deleted. Throws `BUILDER_REFUSED` for a workload of
 * our name that neither made.
 */
export async function findExisting(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<ExistingWorkload | undefined> {
  const own = await getEither(client, { spec, name: spec.workload }, signal);
  if (own !== undefined) {
    const { metadata } = own.workload.object;
    if (metadata.deletionTimestamp !== undefined) return undefined;
    if (!belongsTo(spec.name, metadata.labels)) throw foreign(spec, own);
    return own;
  }
  return findOfBuildx(client, spec, signal);
}

/** Label selector of the pods of one workload. */
export function podSelector({ workload }: ExistingWorkload): string {
  return selectorText(workload.object.spec?.selector?.matchLabels ?? {});
}

/** buildx names the nodes of a builder by number and puts their platforms into an annotation. */
async function findOfBuildx(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<ExistingWorkload | undefined> {
  let first: ExistingWorkload | undefined;
  for (let index = 0; ; index += 1) {
    const name = `${spec.name.replaceAll('_', '-')}${index}`;
    const found = await getEither(client, { spec, name }, signal);
    if (found === undefined || !isOfBuildx(found.workload.object)) return first;
    const node = { ...found, madeBy: 'buildx' as const };
    if (spec.platform === undefined || platformsOf(node).includes(platformText(spec.platform))) {
      return node;
    }
    first ??= node;
  }
}

/** By its container too: the name and label alone many an application has. */
function isOfBuildx({ metadata, spec }: Workload): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const template = spec?.template as
    { readonly spec?: { readonly containers?: readonly { readonly name: string }[] } } | undefined;
  if (template?.spec?.containers?.every(({ name }) => name !== containerName) !== false)
    return false;
  const isNamed = metadata.labels?.app === metadata.name;
  return isNamed || metadata.annotations?.[platformAnnotation] !== undefined;
}

function platformsOf({ workload }: ExistingWorkload): string[] {
  const text = workload.object.metadata.annotations?.[platformAnnotation] ?? '';
  return text.split(',').map((platform) => platform.trim());
}

/** The kind that is asked for first: the other one was made with other options. */
async function getEither(
  client: KubeClient,
  { spec, name }: { readonly spec: BuilderSpec; readonly name: string },
  signal: AbortSignal,
): Promise<ExistingWorkload | undefined> {
  const first = workloadResource(spec);
  const second = first === 'deployments' ? 'statefulsets' : 'deployments';
  for (const resource of [first, second] as const) {
    try {
      const workload = await client.get(resource, { namespace: spec.namespace, name }, signal);
      return { resource, workload, madeBy: 'us' };
    } catch (thrown) {
      // Rights on the kind that was not asked for are not to be expected.
      const skip = isNotFound(thrown) || (resource === second && isForbidden(thrown));
      if (!skip) throw thrown;
    }
  }
  return undefined;
}

function foreign(spec: BuilderSpec, { resource }: ExistingWorkload): KubernetesError {
  return new KubernetesError(
    'BUILDER_REFUSED',
    `${resource} "${spec.workload}" in namespace "${spec.namespace}" exists and is not ours`,
    { hint: 'Remove it, or use another name or namespace.' },
  );
}
