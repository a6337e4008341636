import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { randomBytes } from 'node:crypto';

/**
 * Volumes in folders of a node, in a storage class of their own: a cluster without a provisioner can
 * bind claims to them.
 *
 * The controller that takes a volume back deletes its folder too; it does so for those below `/tmp`.
 */
export class HostPathVolumes implements AsyncDisposable {
  readonly storageClass: string;
  readonly #core: CoreV1Api;
  readonly #names: readonly string[];

  private constructor(core: CoreV1Api, storageClass: string, names: readonly string[]) {
    this.#core = core;
    this.storageClass = storageClass;
    this.#names = names;
  }

  static async create(kubeconfig: string, count: number): Promise<HostPathVolumes> {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const storageClass = `kbx-test-${randomBytes(3).toString('hex')}`;
    const names = Array.from({ length: count }, (_, index) => `${storageClass}-${index}`);
    await Promise.all(
      names.map((name) =>
        core.createPersistentVolume({
          body: {
            metadata: { name },
            spec: {
              storageClassName: storageClass,
              capacity: { storage: '1Gi' },
              accessModes: ['ReadWriteOnce'],
              persistentVolumeReclaimPolicy: 'Delete',
              hostPath: { path: `/tmp/${name}`, type: 'DirectoryOrCreate' },
            },
          },
        }),
      ),
    );
    return new HostPathVolumes(core, storageClass, names);
  }

  /** Those that are bound go when their claims do. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { items } = await this.#core.listPersistentVolume();
    const unused = items.filter(({ status }) => status?.phase === 'Available');
    await Promise.all(
      unused
        .map(({ metadata }) => metadata?.name ?? '')
        .filter((name) => this.#names.includes(name))
        .map((name) => this.#core.deletePersistentVolume({ name })),
    );
  }
}
