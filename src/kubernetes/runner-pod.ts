import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import type { V1OwnerReference } from '@kubernetes/client-node';
import { KubernetesError } from './errors.ts';
import type { KubeClient } from './kube-client.ts';

/**
 * The pod that this process runs in, as owner.
 *
 * Undefined where the builder goes into another namespace or another cluster, which may have a
 * namespace of that name too, and where the pod cannot be read.
 */
export async function findRunnerPod(
  client: KubeClient,
  where: {
    readonly namespace: string;
    readonly serviceAccountFolder: string;
    readonly hostname: string;
    readonly env: Readonly<Record<string, string | undefined>>;
  },
  signal: AbortSignal,
): Promise<V1OwnerReference | undefined> {
  if (where.hostname === '' || !isOwnCluster(client.server, where.env)) return undefined;
  const file = path.join(where.serviceAccountFolder, 'namespace');
  const namespace = await readFile(file, 'utf8').catch(() => '');
  if (namespace.trim() !== where.namespace) return undefined;
  const at = { namespace: where.namespace, name: where.hostname };
  try {
    const { object } = await client.get('pods', at, signal);
    return { apiVersion: 'v1', kind: 'Pod', name: object.metadata.name, uid: object.metadata.uid };
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof KubernetesError) return undefined;
    throw thrown;
  }
}

/** Whether a server is that of the cluster whose pod we run in. */
function isOwnCluster(
  server: URL,
  { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }: NodeJS.ProcessEnv,
): boolean {
  if (host === undefined || port === undefined) return false;
  if (/^kubernetes\.default(\.svc(\.cluster\.local)?)?$/.test(server.hostname)) return true;
  return server.host === URL.parse(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)?.host;
}
