/**
 * How jobs come to a shared builder, and how the last of them leaves it.
 *
 * Both may happen at the same moment, and no controller keeps them apart. Who comes makes a Lease and
 * then writes to the anchor of the builder: its owner Job, else its workload. Who leaves reads the
 * anchor, then looks for Leases, and then removes or stops the anchor, but only as he has read it. So
 * he sees the Lease, or the anchor has changed under him and he looks again; or else it is gone when
 * the other one writes to it, who then begins anew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1OwnerReference } from '@kubernetes/client-node';
import type { WorkloadResource } from './existing-builder.ts';
import { type HeldBuilder, otherUsers, releaseBuilder } from './job-hold.ts';
import type { KubeClient, Observed } from './kube-client.ts';
import { isConflict, isForbidden, isNotFound } from './kube-failure.ts';
import type { Job, KubeObject, Workload } from './kube-objects.ts';
import { belongsTo, replicasAnnotation } from './manifests/labels.ts';
import { isAlive } from './owner.ts';

const arrivalAnnotation = 'kube-buildx-action/last-job-id';
/** Before the anchor is looked at again. */
const againMs = 50;

/** A builder that jobs share, and one of them. */
export interface SharedBuilder extends HeldBuilder {
  readonly workload: string;
  readonly resource: WorkloadResource;
}

/** What is known of a builder once a job has come to it. */
export interface Arrival {
  /** Its owner as it is now, if that is a Job and could be written to. */
  readonly job?: Observed<Job>;
}

/** Tells the last job that leaves of one that has come; undefined when the builder goes already. */
export async function arrive(
  client: KubeClient,
  { owner, ...builder }: SharedBuilder & { readonly owner: V1OwnerReference | undefined },
  signal: AbortSignal,
): Promise<Arrival | undefined> {
  const { namespace, workload, resource, jobId } = builder;
  const annotations = { [arrivalAnnotation]: jobId };
  try {
    if (owner?.kind === 'Job') {
      const { name, uid } = owner;
      const patch = { metadata: { uid, annotations } };
      const job = await client.patch('jobs', { namespace, name, patch }, signal);
      return isUp(job.object) ? { job } : undefined;
    }
    const at = { namespace, name: workload, patch: { metadata: { annotations } } };
    return isUp((await client.patch(resource, at, signal)).object) ? {} : undefined;
  } catch (thrown) {
    if (isNotFound(thrown) || isConflict(thrown)) return undefined;
    // Without the right nobody is told, and nothing is known.
    if (isForbidden(thrown)) return {};
    throw thrown;
  }
}

/** Whether a Job has not ended, and a workload has not been scaled to zero. */
function isUp(anchor: Job | Workload): boolean {
  if (anchor.metadata.deletionTimestamp !== undefined) return false;
  return isWorkload(anchor) ? (anchor.spec?.replicas ?? 1) > 0 : isAlive(anchor);
}

function isWorkload(anchor: Job | Workload): anchor is Workload {
  return (anchor as Workload).spec?.replicas !== undefined;
}

/** What became of the builder when a job left it. */
export type Departure =
  | { readonly outcome: 'held' | 'nothing' | 'stopped' }
  /** Whether other jobs use it cannot be seen. */
  | { readonly outcome: 'unknown' }
  /** Its anchor is removed; what `isOfIt` says of the rest of it. */
  | { readonly outcome: 'removed'; readonly isOfIt: (object: KubeObject) => boolean };

/** Ends the hold of a job, and removes the anchor of the builder if no other job uses it. */
export async function leaveToRemove(
  client: KubeClient,
  builder: SharedBuilder,
  signal: AbortSignal,
): Promise<Departure> {
  return leave(client, builder, {
    signal,
    evenUnseen: false,
    read: () => removableAnchor(client, builder, signal),
    end: async ({ resource, object }) => {
      const { name, uid, resourceVersion } = object.metadata;
      const at = { namespace: builder.namespace, name, uid, resourceVersion };
      await client.remove(resource, at, signal);
      return { outcome: 'removed', isOfIt: isOwnedAs(resource, object, builder) };
    },
  });
}

/** Ends the hold of a job, and scales the builder to zero if no other job uses it. */
export async function leaveToStop(
  client: KubeClient,
  builder: SharedBuilder,
  signal: AbortSignal,
): Promise<Departure> {
  const { namespace, workload: name, resource } = builder;
  return leave(client, builder, {
    signal,
    // Who builds there wakes it up again in his next attempt; else it would run for ever.
    evenUnseen: true,
    read: () => find(client, { namespace, resource, name }, signal),
    end: async ({ object }) => {
      const { metadata, spec } = object as Workload;
      const replicas = spec?.replicas ?? 0;
      if (replicas === 0) return { outcome: 'stopped' };
      const { resourceVersion } = metadata;
      const annotations = { [replicasAnnotation]: String(replicas) };
      const patch = { metadata: { resourceVersion, annotations }, spec: { replicas: 0 } };
      await client.patch(resource, { namespace, name, patch }, signal);
      return { outcome: 'stopped' };
    },
  });
}

interface Anchor {
  readonly resource: 'jobs' | WorkloadResource;
  readonly object: KubeObject;
}

async function leave(
  client: KubeClient,
  builder: SharedBuilder,
  how: {
    readonly signal: AbortSignal;
    /** Whether it ends too where Leases cannot be seen. */
    readonly evenUnseen: boolean;
    readonly read: () => Promise<Anchor | undefined>;
    readonly end: (anchor: Anchor) => Promise<Departure>;
  },
): Promise<Departure> {
  const { signal, read, end } = how;
  await releaseBuilder(client, builder, signal);
  for (;;) {
    const anchor = await read();
    const users = await otherUsers(client, builder, signal);
    if (users === undefined && !how.evenUnseen) return { outcome: 'unknown' };
    if (users !== undefined && users.length > 0) return { outcome: 'held' };
    if (anchor === undefined) return { outcome: 'nothing' };
    try {
      return await end(anchor);
    } catch (thrown) {
      if (!isConflict(thrown) && !isNotFound(thrown)) throw thrown;
    }
    await sleep(againMs, undefined, { signal });
  }
}

/** Undefined for a pool, which stays, and where there is nothing of this builder. */
async function removableAnchor(
  client: KubeClient,
  { namespace, name, workload, resource }: SharedBuilder,
  signal: AbortSignal,
): Promise<Anchor | undefined> {
  const job = await find(client, { namespace, resource: 'jobs', name }, signal);
  if (job !== undefined && belongsTo(name, job.object.metadata.labels)) return job;
  const found = await find(client, { namespace, resource, name: workload }, signal);
  if (found === undefined) return undefined;
  const { labels, ownerReferences = [] } = found.object.metadata;
  const isOfPool = ownerReferences.some(({ kind }) => kind === 'ConfigMap');
  return belongsTo(name, labels) && !isOfPool ? found : undefined;
}

async function find(
  client: KubeClient,
  at: { readonly namespace: string; readonly resource: Anchor['resource']; readonly name: string },
  signal: AbortSignal,
): Promise<Anchor | undefined> {
  const { resource } = at;
  try {
    return { resource, object: (await client.get(resource, at, signal)).object };
  } catch (thrown) {
    if (isNotFound(thrown) || (resource === 'jobs' && isForbidden(thrown))) return undefined;
    throw thrown;
  }
}

/** Another job may have made a builder of that name by now, with another owner. */
function isOwnedAs(
  resource: Anchor['resource'],
  anchor: KubeObject,
  { name }: SharedBuilder,
): (object: KubeObject) => boolean {
  const owner = resource === 'jobs' ? anchor.metadata : anchor.metadata.ownerReferences?.[0];
  return ({ metadata: { labels, ownerReferences = [] } }) =>
    belongsTo(name, labels) && ownerReferences[0]?.uid === owner?.uid;
}
