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
import type { Lease } from './kube-objects.ts';
import { builderLabels, builderSelector } from './manifests/labels.ts';

/** Which builder, and whose job. */
export interface HeldBuilder {
  readonly namespace: string;
  readonly name: string;
  readonly jobId: string;
}

const holdLabel = 'kube-buildx-action/hold';

/** Holds a builder for a job; one that holds it already keeps doing so. */
export async function holdBuilder(
  client: KubeClient,
  hold: HeldBuilder & {
    readonly owner: V1OwnerReference | undefined;
    readonly holder: string;
    readonly lifetimeMs: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, jobId, owner } = hold;
  const manifest = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: leaseName(hold),
      labels: { ...builderLabels(name), [holdLabel]: jobId },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      holderIdentity: hold.holder,
      leaseDurationSeconds: Math.ceil(hold.lifetimeMs / 1000),
    },
  };
  try {
    await client.create('leases', { namespace, manifest }, signal);
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
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

/** Who else holds a builder. */
export async function otherHolders(
  client: KubeClient,
  hold: HeldBuilder,
  signal: AbortSignal,
): Promise<string[]> {
  const { namespace, name, jobId } = hold;
  const labelSelector = [builderSelector(name), holdLabel, `${holdLabel}!=${jobId}`].join(',');
  const { items, serverTimeMs } = await client.list('leases', { namespace, labelSelector }, signal);
  return items
    .filter((lease) => isLive(lease, serverTimeMs))
    .map(({ spec, metadata }) => spec?.holderIdentity ?? metadata.name);
}

function isLive({ metadata, spec }: Lease, serverTimeMs: number): boolean {
  const createdMs = Date.parse(metadata.creationTimestamp ?? '') || serverTimeMs;
  return createdMs + (spec?.leaseDurationSeconds ?? 0) * 1000 > serverTimeMs;
}

function leaseName({ name, jobId }: HeldBuilder): string {
  return `${name}-hold-${jobId}`;
}
