/**
 * That a job uses a shared builder, from its first step to its post step.
 *
 * A Lease per job says so, since between two steps nothing of the job runs that could renew one: it
 * is made for the longest life of a builder and deleted by the post step of the job. Whether it still
 * counts is a matter of the server's clock alone.
 */
import type { V1OwnerReference } from '@kubernetes/client-node';
import type { KubeClient } from './kube-client.ts';
import { isConflict, isForbidden, isNotFound } from './kube-failure.ts';
import { type ClaimHolder, claimMetadata, microTime } from './leases/lease-object.ts';
import { liveLeases } from './leases/live-leases.ts';

/** Which builder, and whose job. */
export interface HeldBuilder {
  readonly namespace: string;
  readonly name: string;
  readonly jobId: string;
}

/** Holds a builder for a job; one that holds it already does so anew. */
export async function holdBuilder(
  client: KubeClient,
  hold: HeldBuilder & {
    readonly owner: V1OwnerReference | undefined;
    readonly holder: ClaimHolder;
    readonly lifetimeMs: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, owner, holder } = hold;
  const name = leaseName(hold);
  const { repository, runId, jobId } = holder;
  const manifest = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      ...claimMetadata({ builder: hold.name }, { kind: 'hold', holder }),
      ownerReferences: owner === undefined ? [] : [owner],
    },
    spec: {
      holderIdentity: [repository, runId, jobId].filter((part) => part !== '').join('/'),
      leaseDurationSeconds: Math.ceil(hold.lifetimeMs / 1000),
      // What counts is when the server sees it change.
      renewTime: microTime(Date.now()),
    },
  };
  for (;;) {
    try {
      await client.create('leases', { namespace, manifest }, signal);
      return;
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
    }
    try {
      // It may be owned by a builder of that name that is gone, and go with it.
      await client.patch('leases', { namespace, name, patch: manifest }, signal);
      return;
    } catch (thrown) {
      if (!isNotFound(thrown)) throw thrown;
    }
  }
}

/** Ends the hold of a job, if there is one. */
export async function releaseBuilder(
  client: KubeClient,
  hold: HeldBuilder,
  signal: AbortSignal,
): Promise<void> {
  const at = { namespace: hold.namespace, name: leaseName(hold) };
  try {
    const { object } = await client.get('leases', at, signal);
    await client.remove('leases', { ...at, uid: object.metadata.uid }, signal);
  } catch (thrown) {
    if (!isNotFound(thrown) && !isForbidden(thrown) && !isConflict(thrown)) throw thrown;
  }
}

/**
 * Which other jobs use a builder, in words: they hold it, build on it or wait for it.
 *
 * Undefined without the right to list Leases.
 */
export async function otherUsers(
  client: KubeClient,
  { namespace, name, jobId }: HeldBuilder,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  const leases = await liveLeases(client, { namespace, builder: name }, signal);
  const others = leases?.filter((lease) => lease.jobId !== jobId);
  return others && [...new Set(others.map(({ description }) => description))];
}

function leaseName({ name, jobId }: HeldBuilder): string {
  return `${name}-hold-${jobId}`;
}
