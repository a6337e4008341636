import type { KubeClient } from '../kube-client.ts';
import { isForbidden } from '../kube-failure.ts';
import {
  type ClaimHolder,
  type ClaimKind,
  claimKind,
  claimSelector,
  describeHolder,
  holderOf,
  isLive,
  podUidOf,
} from './lease-object.ts';

/** A build that runs on a builder or waits for a slot of it, or a job that holds it. */
export interface LiveLease extends ClaimHolder {
  readonly name: string;
  readonly kind: ClaimKind;
  /** Whose build it is, such as `acme/app (run 12)`. */
  readonly description: string;
  /** Of the pod that it runs on, or of one that it waits for. */
  readonly podUid: string | undefined;
}

/**
 * Who uses a builder right now, by the server's clock.
 *
 * Undefined without the right to list Leases. Throws `KubernetesError`.
 */
export async function liveLeases(
  client: Pick<KubeClient, 'list'>,
  { namespace, builder }: { readonly namespace: string; readonly builder: string },
  signal: AbortSignal,
): Promise<readonly LiveLease[] | undefined> {
  const selection = { namespace, labelSelector: claimSelector(builder) };
  try {
    const { items, serverTimeMs } = await client.list('leases', selection, signal);
    return items.flatMap((lease) => {
      const kind = claimKind(lease);
      if (kind === undefined || !isLive(lease, serverTimeMs)) return [];
      return [
        {
          ...holderOf(lease),
          name: lease.metadata.name,
          kind,
          description: describeHolder(lease),
          podUid: podUidOf(lease),
        },
      ];
    });
  } catch (thrown) {
    if (isForbidden(thrown)) return undefined;
    throw thrown;
  }
}
