import {
  AppsV1Api,
  BatchV1Api,
  CoordinationV1Api,
  CoreV1Api,
  KubeConfig,
  PolicyV1Api,
} from '@kubernetes/client-node';
import { randomBytes } from 'node:crypto';

import type { Cluster } from './find-cluster.ts';

/** A namespace of one's own, deleted on disposal. */
export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
  /** Names of all that builders consist of, as `kind/name`; a namespace's own are left out. */
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
    named('deployment', apps.listNamespacedDeployment({ namespace })),
    named('statefulset', apps.listNamespacedStatefulSet({ namespace })),
    named('replicaset', apps.listNamespacedReplicaSet({ namespace })),
    named('pod', core.listNamespacedPod({ namespace })),
    named('secret', core.listNamespacedSecret({ namespace })),
    named('configmap', core.listNamespacedConfigMap({ namespace })),
    named('claim', core.listNamespacedPersistentVolumeClaim({ namespace })),
    named('job', batch.listNamespacedJob({ namespace })),
    named('lease', config.makeApiClient(CoordinationV1Api).listNamespacedLease({ namespace })),
    named(
      'budget',
      config.makeApiClient(PolicyV1Api).listNamespacedPodDisruptionBudget({ namespace }),
    ),
  ]);
  return lists.flat().filter((name) => name !== 'configmap/kube-root-ca.crt');
}

async function named(
  kind: string,
  list: Promise<{ readonly items: readonly { readonly metadata?: { readonly name?: string } }[] }>,
): Promise<string[]> {
  return (await list).items.map(({ metadata }) => `${kind}/${metadata?.name ?? ''}`);
}
