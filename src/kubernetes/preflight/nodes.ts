import type { V1PodSpec } from '@kubernetes/client-node';
import type { KubeClient } from '../kube-client.ts';
import type { Node } from '../kube-objects.ts';

/**
 * Nodes that a pod's selector allows and that take pods, at most `limit`.
 *
 * Clusters may have thousands of nodes, each of many kilobytes.
 */
export function nodesFor(
  client: KubeClient,
  { pod, limit }: { readonly pod: V1PodSpec; readonly limit: number },
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const labelSelector = showSelector(pod, ',');
  const filter = { fieldSelector: 'spec.unschedulable=false', limit };
  return client.listNodes(labelSelector === '' ? filter : { ...filter, labelSelector }, signal);
}

/** The node selector of a pod as text. */
export function showSelector({ nodeSelector }: V1PodSpec, separator: string): string {
  return Object.entries(nodeSelector ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(separator);
}
