import { isConflict, isForbidden, isNotFound } from '../kube-failure.ts';
import type { Pod } from '../kube-objects.ts';
import { belongsTo, stayAnnotations } from '../manifests/labels.ts';
import type { Notices } from '../notices.ts';
import type { LeaseCalls } from './lease-calls.ts';
import { type ClaimScope, claimSelector, podUidOf } from './lease-object.ts';
import { PoolView } from './pool-view.ts';

/** Changes with each build, and with it the version of the pod. */
const guardAnnotation = 'kube-buildx-action/last-claim';
const releaseAttempts = 3;

/**
 * Keeps autoscalers from moving a pod while a Lease says that it builds.
 *
 * Whoever builds marks the pod after its Lease is there. Whoever releases the last Lease takes the
 * marks off, of the version of the pod that he knew before he looked for other Leases: a build that
 * came since has changed that version, and the marks stay. What a lost build left marked the next
 * release repairs. Pods that are not ours, or that their owner has marked, are left as they are.
 */
export class PodGuard {
  readonly #calls: LeaseCalls;
  readonly #scope: ClaimScope;
  readonly #notices: Notices;
  /** As we last knew it; unset while we have not marked it. */
  #pod: Pod | undefined;

  constructor(calls: LeaseCalls, scope: ClaimScope, notices: Notices) {
    this.#calls = calls;
    this.#scope = scope;
    this.#notices = notices;
  }

  /** Marks the pod; throws what the server says, lack of rights aside. */
  async mark({ metadata }: Pod, claimId: string, signal: AbortSignal): Promise<void> {
    const { labels, annotations: found = {} } = metadata;
    const isMarkedByOwner =
      found[guardAnnotation] === undefined &&
      Object.keys(stayAnnotations).some((key) => found[key] !== undefined);
    if (isMarkedByOwner || !belongsTo(this.#scope.builder, labels)) return;
    const annotations = { ...stayAnnotations, [guardAnnotation]: claimId };
    // Of this very pod, not of one that has come under its name.
    const patch = { metadata: { uid: metadata.uid, annotations } };
    try {
      this.#pod = await this.#patch(metadata.name, patch, signal);
    } catch (thrown) {
      if (isNotFound(thrown) || isConflict(thrown)) return;
      if (!isForbidden(thrown)) throw thrown;
      this.#notices.once('No right to patch pods: an autoscaler may move a pod while it builds.');
    }
  }

  /** Takes the marks off, unless somebody else builds on the pod; after our own Lease has gone. */
  async unmark(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt < releaseAttempts && this.#pod !== undefined; attempt += 1) {
      const { name, uid, resourceVersion } = this.#pod.metadata;
      if (await this.#isInUse(uid, signal)) return;
      const annotations = Object.fromEntries(
        [...Object.keys(stayAnnotations), guardAnnotation].map((key) => [key, null]),
      );
      try {
        await this.#patch(name, { metadata: { uid, resourceVersion, annotations } }, signal);
        return;
      } catch (thrown) {
        if (isNotFound(thrown) || isForbidden(thrown)) return;
        if (!isConflict(thrown)) throw thrown;
        this.#pod = await this.#read(this.#pod, signal);
      }
    }
  }

  async #isInUse(uid: string, signal: AbortSignal): Promise<boolean> {
    const { builder, workload } = this.#scope;
    const leases = await this.#calls.list(claimSelector(builder, workload), signal);
    const ofPod = leases.filter((lease) => podUidOf(lease) === uid);
    return new PoolView(ofPod, this.#calls.clock.nowMs).hasBuilds;
  }

  async #patch(name: string, patch: object, signal: AbortSignal): Promise<Pod> {
    const { client, namespace } = this.#calls;
    return (await client.patch('pods', { namespace, name, patch }, signal)).object;
  }

  /** Undefined when it is gone, or another one has its name. */
  async #read({ metadata }: Pod, signal: AbortSignal): Promise<Pod | undefined> {
    const { client, namespace } = this.#calls;
    try {
      const { object } = await client.get('pods', { namespace, name: metadata.name }, signal);
      return object.metadata.uid === metadata.uid ? object : undefined;
    } catch (thrown) {
      if (isNotFound(thrown) || isForbidden(thrown)) return undefined;
      throw thrown;
    }
  }
}
