import type { ContainerStatus, Pod } from './kube-objects.ts';

/** Names one container of one pod. */
export function pullKey(pod: Pod, { name }: Pick<ContainerStatus, 'name'>): string {
  return `${pod.metadata.uid}/${name}`;
}

/** Counts how often the image of each container could not be pulled: status only shows the last. */
export class PullCounter {
  /** By `pullKey`. */
  readonly counts = new Map<string, number>();
  readonly #last = new Map<string, string>();

  look(pods: readonly Pod[]): void {
    for (const pod of pods) {
      const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
      for (const status of [...initContainerStatuses, ...containerStatuses]) {
        this.#lookAt(pullKey(pod, status), status.state?.waiting ?? {});
      }
    }
  }

  #lookAt(
    key: string,
    { reason = '', message = '' }: { readonly reason?: string; readonly message?: string },
  ): void {
    const before = this.#last.get(key) ?? '';
    this.#last.set(key, reason);
    // A back-off follows its failure, which may have been too short to be seen.
    const unseen = reason === 'ImagePullBackOff' && before !== 'ErrImagePull';
    const isNew = reason !== before && (reason === 'ErrImagePull' || unseen);
    // There the node spares the registry: it has not asked.
    if (isNew && !message.includes('QPS exceeded')) {
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    }
  }
}
