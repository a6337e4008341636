import { setTimeout as sleep } from 'node:timers/promises';
import { KubernetesError } from './errors.ts';
import type { KubeClient, Observed, ResourceName, ResourceTypes } from './kube-client.ts';
import { isConflict, isNotFound } from './kube-failure.ts';
import type { KubeObject } from './kube-objects.ts';
import type { BuilderSpec } from './builder-spec.ts';
import { belongsTo, creatorAnnotation } from './manifests/labels.ts';

/** How long a namesake that is being deleted may take to go. */
const namesakeTimeoutMs = 60_000;
const namesakePollMs = 200;

/** An object to be. */
export interface Manifest {
  metadata?: { name?: string };
}

/** An object that is there, and whether it was this step that made it. */
export interface Ensured<T> {
  readonly object: Observed<T>;
  readonly created: boolean;
}

/**
 * Creates an object or finds it: "already exists" is success.
 *
 * Waits, at most a minute, until a namesake that is being deleted has gone. Throws `BUILDER_REFUSED`
 * for a namesake that is not of this builder.
 */
export async function ensure<R extends ResourceName>(
  input: {
    readonly client: KubeClient;
    readonly spec: BuilderSpec;
    readonly resource: R;
    readonly manifest: Manifest;
    /** Whether an existing object is alive, rather than about to be collected. */
    readonly isCurrent: (object: ResourceTypes[R]) => boolean;
  },
  signal: AbortSignal,
): Promise<Ensured<ResourceTypes[R]>> {
  const { client, spec, resource, manifest } = input;
  const { namespace } = spec;
  const name = manifest.metadata?.name ?? spec.workload;
  const deadline = performance.now() + namesakeTimeoutMs;
  for (;;) {
    const existing = await createOrGet({ client, resource, namespace, name, manifest }, signal);
    if (existing?.created === true) return existing;
    if (existing !== undefined) {
      const { metadata } = existing.object.object;
      checkOurs(spec, resource, existing.object.object);
      if (metadata.deletionTimestamp === undefined && input.isCurrent(existing.object.object)) {
        // A create whose answer was lost is sent again and meets its own object.
        return { ...existing, created: isCreator(spec, existing.object.object) };
      }
    }
    if (performance.now() > deadline) throw namesakeStays(resource, name, namespace);
    await sleep(namesakePollMs, undefined, { signal });
  }
}

/** Undefined when the object was there, and was gone before it could be read. */
async function createOrGet<R extends ResourceName>(
  input: {
    readonly client: KubeClient;
    readonly resource: R;
    readonly namespace: string;
    readonly name: string;
    readonly manifest: Manifest;
  },
  signal: AbortSignal,
): Promise<Ensured<ResourceTypes[R]> | undefined> {
  const { client, resource, namespace, name, manifest } = input;
  try {
    return {
      object: await client.create(resource, { namespace, manifest }, signal),
      created: true,
    };
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
  }
  try {
    return { object: await client.get(resource, { namespace, name }, signal), created: false };
  } catch (thrown) {
    if (isNotFound(thrown)) return undefined;
    throw thrown;
  }
}

/** Whether this very step made the object. */
function isCreator(
  spec: { readonly identity: { readonly creator: string } },
  object: KubeObject,
): boolean {
  return object.metadata.annotations?.[creatorAnnotation] === spec.identity.creator;
}

function checkOurs(spec: BuilderSpec, resource: ResourceName, object: KubeObject): void {
  if (belongsTo(spec.name, object.metadata.labels)) return;
  throw new KubernetesError(
    'BUILDER_REFUSED',
    `${resource} "${object.metadata.name}" in namespace "${spec.namespace}" exists and is not ours`,
    { hint: 'Remove it, or use another namespace.' },
  );
}

function namesakeStays(resource: ResourceName, name: string, namespace: string): KubernetesError {
  return new KubernetesError(
    'BUILDER_TIMEOUT',
    `${resource} "${name}" in namespace "${namespace}" is being deleted and does not go`,
    { hint: 'Look at its finalizers, and whether the controller manager of the cluster runs.' },
  );
}
