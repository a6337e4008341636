import type { Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';

/** Counts how often the image of each pod could not be pulled: status only shows the last one. */
export class PullCounter {
  readonly counts = new Map<string, number>();
  readonly #last = new Map<string, string>();

  look(pods: readonly Pod[]): void {
    for (const pod of pods) {
      const { uid } = pod.metadata;
      const statuses = pod.status?.containerStatuses ?? [];
      const reason =
        statuses.find(({ name }) => name === containerName)?.state?.waiting?.reason ?? '';
      const before = this.#last.get(uid) ?? '';
      // A back-off follows its failure, which may have been too short to be seen.
      const unseen = reason === 'ImagePullBackOff' && before !== 'ErrImagePull';
      if (reason !== before && (reason === 'ErrImagePull' || unseen)) {
        this.counts.set(uid, (this.counts.get(uid) ?? 0) + 1);
      }
      this.#last.set(uid, reason);
    }
  }
}
