/** Removes what expired and cannot go by itself. */
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { WorkloadResource } from './existing-builder.ts';
import type { KubeClient } from './kube-client.ts';
import type { Workload } from './kube-objects.ts';
import { creatorAnnotation, managedSelector, maxLifetimeAnnotation } from './manifests/labels.ts';
import { removeBuilder } from './teardown.ts';

/**
 * Removes builders of vanished jobs that have no owner to go with, for lack of rights on Jobs.
 *
 * By the server's clock, and only workloads of ours that say how long they may live. Never throws:
 * whoever sweeps has other work to do.
 */
export async function sweepExpired(
  client: KubeClient,
  { namespace, logger }: { readonly namespace: string; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (const resource of ['deployments', 'statefulsets'] as const) {
    try {
      const selection = { namespace, labelSelector: managedSelector };
      const { items, serverTimeMs } = await client.list(resource, selection, signal);
      for (const workload of items.filter((item) => isExpired(item, serverTimeMs))) {
        await remove(client, { namespace, resource, workload, logger }, signal);
      }
    } catch (failure) {
      if (signal.aborted) return;
      logger.debug(`expired ${resource} are not swept: ${messageOf(failure)}`);
    }
  }
}

function isExpired({ metadata }: Workload, serverTimeMs: number): boolean {
  const lifetimeSeconds = Number(metadata.annotations?.[maxLifetimeAnnotation]);
  const createdMs = Date.parse(metadata.creationTimestamp ?? '');
  const isFree = (metadata.ownerReferences ?? []).length === 0;
  return isFree && createdMs + lifetimeSeconds * 1000 <= serverTimeMs;
}

async function remove(
  client: KubeClient,
  input: {
    readonly namespace: string;
    readonly resource: WorkloadResource;
    readonly workload: Workload;
    readonly logger: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, resource, workload, logger } = input;
  const { name, labels, annotations } = workload.metadata;
  const builder = labels?.['app.kubernetes.io/instance'];
  const creator = annotations?.[creatorAnnotation];
  if (builder === undefined || creator === undefined) return;
  const state = { namespace, name: builder, workload: name, resource, creator };
  await removeBuilder(client, state, { signal, logger, waitsForPods: false });
  logger.info(`Removed builder ${builder} of a vanished job: its max-lifetime is over`);
}
