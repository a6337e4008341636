import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { KubernetesError } from './errors.ts';
import type { KubeClient, ResourceName, ResourceTypes, Selection } from './kube-client.ts';
import { isForbidden } from './kube-failure.ts';

/** The server ends a watch after this; a silent one is given up soon after. */
const watchSeconds = 240;
const watchGraceMs = 15_000;
const pollMs = 500;
const firstRetryMs = 200;
const longestRetryMs = 5_000;

export interface MirrorOptions<R extends ResourceName> {
  readonly client: KubeClient;
  readonly resource: R;
  readonly selection: Selection;
  readonly logger: Logger;
  /**
   * Whether only what happens from now on is of interest, as with events: a namespace may have
   * thousands of old ones.
   */
  readonly onlyNew?: boolean;
  /** After each change. */
  readonly onChange: () => void;
  /** Watching is not allowed and listing is: changes are polled; or neither is: nothing is seen. */
  readonly onDegraded: (mode: 'polled' | 'unseen') => void;
}

/**
 * Holds the selected objects as the cluster has them, by uid, until the signal aborts.
 *
 * Lists, then watches from there, as client-go's Reflector does: a watch that ends is taken up
 * where it was, one that has lost its place (410) starts again with a list. Failures are retried for
 * as long as it takes; only a 401 of a list ends it.
 */
export class Mirror<R extends ResourceName> {
  readonly objects = new Map<string, ResourceTypes[R]>();
  /** Last seen state of what has been deleted. */
  readonly deleted = new Map<string, ResourceTypes[R]>();
  /** Whether the objects have been listed, so that what is missing here is missing there. */
  synced = false;
  /** Why the last attempt failed; unset once one worked. */
  lastFailure: unknown;
  readonly #options: MirrorOptions<R>;
  #resourceVersion: string | undefined;
  #polls = false;

  constructor(options: MirrorOptions<R>) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    let retryMs = firstRetryMs;
    for (;;) {
      try {
        signal.throwIfAborted();
        if (this.#polls) this.#resourceVersion = undefined;
        if (this.#resourceVersion === undefined) await this.#list(signal);
        this.lastFailure = undefined;
        retryMs = firstRetryMs;
        if (this.#polls) await sleep(pollMs, undefined, { signal, ref: false });
        else await this.#watchAWhile(signal);
      } catch (failure) {
        if (signal.aborted) return;
        // Of a watch it need not be the end: the list that follows comes with renewed credentials.
        if (isUnauthorized(failure) && this.#resourceVersion === undefined) throw failure;
        if (isForbidden(failure) && this.#degrade()) return;
        this.#note(failure);
        await sleep(retryMs, undefined, { signal, ref: false }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      }
    }
  }

  /** Whether that is the end of it. */
  #degrade(): boolean {
    const { onDegraded } = this.#options;
    const cannotList = this.#resourceVersion === undefined;
    onDegraded(cannotList ? 'unseen' : 'polled');
    this.#polls = true;
    return cannotList;
  }

  #note(failure: unknown): void {
    const { resource, logger } = this.#options;
    this.lastFailure = failure;
    // Whatever it was, the place in the stream is not to be trusted: 410, a cut, half a line.
    this.#resourceVersion = undefined;
    logger.debug(`watching ${resource} is started again: ${messageOf(failure)}`);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, resource, selection, onlyNew = false, onChange } = this.#options;
    const isFirst = !this.synced;
    const skip = onlyNew && isFirst;
    const list = await client.list(
      resource,
      { ...selection, ...(skip ? { limit: 1 } : {}) },
      signal,
    );
    this.#resourceVersion = list.metadata.resourceVersion ?? '0';
    const items = skip ? [] : list.items;
    const uids = new Set(items.map(({ metadata }) => metadata.uid));
    for (const [uid, object] of this.objects) {
      if (uids.has(uid)) continue;
      this.objects.delete(uid);
      this.deleted.set(uid, object);
    }
    for (const object of items) this.objects.set(object.metadata.uid, object);
    this.synced = true;
    onChange();
  }

  /** Takes no less than a moment, for proxies that end each watch at once. */
  async #watchAWhile(signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    await this.#watch(signal);
    const restMs = firstRetryMs - (performance.now() - startedAt);
    if (restMs > 0) await sleep(restMs, undefined, { signal, ref: false });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, resource, selection, onChange } = this.#options;
    const silence = AbortSignal.timeout(watchSeconds * 1000 + watchGraceMs);
    const events = client.watch(
      resource,
      {
        ...selection,
        resourceVersion: this.#resourceVersion ?? '',
        timeoutSeconds: watchSeconds,
      },
      AbortSignal.any([signal, silence]),
    );
    for await (const event of events) {
      this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
      if (event.type === 'BOOKMARK') continue;
      const { uid } = event.object.metadata;
      if (event.type === 'DELETED') {
        this.objects.delete(uid);
        this.deleted.set(uid, event.object);
      } else {
        this.objects.set(uid, event.object);
      }
      onChange();
    }
  }
}

function isUnauthorized(failure: unknown): boolean {
  return failure instanceof KubernetesError && failure.code === 'KUBE_UNAUTHORIZED';
}
