import { BatchV1Api, AppsV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { randomBytes } from 'node:crypto';

import type { Cluster } from './find-cluster.ts';

/** A namespace of one's own, deleted on disposal. */
export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
  /** Names of workloads, pods, configuration and jobs, as `kind/name`; a namespace's own are left out. */
  listWhatIsLeft(): Promise<string[]>;
}

/** What is in a namespace, as `kind/name`; what every namespace has is left out. */
export function listNamespace(cluster: Cluster, namespace: string): Promise<string[]> {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  return listObjects(config, namespace);
}

/** Creates a namespace whose name begins with `prefix`. */
export async function createNamespace(cluster: Cluster, prefix: string): Promise<TestNamespace> {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const name = `${prefix}-${randomBytes(3).toString('hex')}`;
  await core.createNamespace({ body: { metadata: { name } } });
  return {
    name,
    listWhatIsLeft: () => listObjects(config, name),
    async [Symbol.asyncDispose]() {
      await core.deleteNamespace({ name });
    },
  };
}

async function listObjects(config: KubeConfig, namespace: string): Promise<string[]> {
  const core = config.makeApiClient(CoreV1Api);
  const apps = config.makeApiClient(AppsV1Api);
  const batch = config.makeApiClient(BatchV1Api);
  const lists = await Promise.all([
    apps.listNamespacedDeployment({ namespace }),
    apps.listNamespacedReplicaSet({ namespace }),
    core.listNamespacedPod({ namespace }),
    core.listNamespacedSecret({ namespace }),
    batch.listNamespacedJob({ namespace }),
    core.listNamespacedConfigMap({ namespace }),
  ]);
  const kinds = ['deployment', 'replicaset', 'pod', 'secret', 'job', 'configmap'];
  return lists
    .flatMap(({ items }, index) =>
      items.map(({ metadata }) => `${kinds[index] ?? ''}/${metadata?.name ?? ''}`),
    )
    .filter((name) => name !== 'configmap/kube-root-ca.crt');
}
