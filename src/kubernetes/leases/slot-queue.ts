import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import { ordinal } from '../../shared/ordinal.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import { isForbidden } from '../kube-failure.ts';
import type { Pod } from '../kube-objects.ts';
import { Mirror } from '../mirror.ts';
import { Bell } from './bell.ts';
import type { LeaseCalls } from './lease-calls.ts';
import { type ClaimScope, claimSelector } from './lease-object.ts';
import { PoolView, type Slot } from './pool-view.ts';
import type { HeldLease } from './held-lease.ts';

/** How long nothing may happen before the queue is looked at again. */
const lookMs = 5_000;
const retryMs = 1_000;
const releaseTimeoutMs = 5_000;

export interface SlotQueueOptions<T> {
  readonly client: KubeClient;
  readonly calls: LeaseCalls;
  readonly scope: ClaimScope;
  readonly perPod: number;
  readonly timeoutMs: number;
  /** The pods as they are, the best first. */
  readonly pods: (view: PoolView) => readonly Pod[];
  /** Calls back after changes of the pods, until the returned function is called. */
  readonly onPodsChange: (listener: () => void) => () => void;
  /** Our own place in the queue: a Lease of this name. */
  readonly ticketName: string;
  /** Puts us into the queue; `onForbidden` when rights are missing, `onLost` when the place is lost. */
  readonly enter: (on: { readonly forbidden: (failure: unknown) => void }) => HeldLease;
  /** Takes one of these slots; undefined when others were faster. */
  readonly take: (slots: readonly Slot[], view: PoolView) => Promise<T | undefined>;
  readonly logger: Logger;
}

/**
 * Waits in the queue of a builder until there is a free slot for us, and takes it.
 *
 * Each of those who wait has a Lease, renewed while he does, and knows his place by the order of
 * their creation: with n free slots the first n may take one. So nobody overtakes, those who crashed
 * drop out when their Lease expires, and those who give up are gone at once.
 *
 * Undefined when rights are missing. Throws `QUEUE_TIMEOUT` with who holds the slots.
 */
export async function waitForSlot<T>(
  options: SlotQueueOptions<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const queue = new SlotQueue(options);
  try {
    return await queue.wait(signal);
  } finally {
    await queue[Symbol.asyncDispose]();
  }
}

class SlotQueue<T> implements AsyncDisposable {
  readonly #options: SlotQueueOptions<T>;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  readonly #mirror: Mirror<'leases'>;
  readonly #following: Promise<void>;
  readonly #ticket: HeldLease;
  readonly #stopListening: () => void;
  readonly #startedAt = performance.now();
  #failure: { readonly thrown: unknown } | undefined;
  #isForbidden = false;
  #announced = '';

  constructor(options: SlotQueueOptions<T>) {
    this.#options = options;
    const { client, scope, logger } = options;
    const ring = (): void => {
      this.#bell.ring();
    };
    const { namespace, builder, workload } = scope;
    this.#mirror = new Mirror({
      client,
      resource: 'leases',
      selection: { namespace, labelSelector: claimSelector(builder, workload) },
      logger,
      onChange: ring,
      onDegraded: (mode) => {
        this.#isForbidden ||= mode === 'unseen';
        ring();
      },
    });
    this.#following = this.#mirror.run(this.#stop.signal).catch((thrown: unknown) => {
      this.#failure = { thrown };
      ring();
    });
    this.#stopListening = options.onPodsChange(ring);
    this.#ticket = options.enter({
      forbidden: () => {
        this.#isForbidden = true;
        ring();
      },
    });
  }

  async wait(signal: AbortSignal): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.thrown;
      if (this.#isForbidden) return undefined;
      const view = this.#view();
      const taken = view === undefined ? undefined : await this.#tryToTake(view);
      if (taken !== undefined) return taken;
      if (this.#restMs <= 0) throw this.#timeoutError(view);
      const nextMs = Math.min(this.#restMs, lookMs, (view?.nextExpiryMs ?? Infinity) + 1);
      await this.#bell.heard(nextMs, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    this.#stop.abort();
    try {
      await this.#ticket.release(AbortSignal.timeout(releaseTimeoutMs));
    } catch (failure) {
      this.#options.logger.debug(`The queue forgets us later: ${messageOf(failure)}`);
    }
    await this.#following;
  }

  get #restMs(): number {
    return this.#options.timeoutMs - (performance.now() - this.#startedAt);
  }

  /** Undefined until the Leases have been listed. */
  #view(): PoolView | undefined {
    const { calls } = this.#options;
    if (!this.#mirror.synced) return undefined;
    return new PoolView([...this.#mirror.objects.values()], calls.clock.nowMs);
  }

  async #tryToTake(view: PoolView): Promise<T | undefined> {
    const { pods, perPod, ticketName, take, logger } = this.#options;
    const slots = view.freeSlots(pods(view), perPod);
    const ahead = view.queue.findIndex(({ metadata }) => metadata.name === ticketName);
    // Until our own Lease is seen, all others are ahead of us.
    if ((ahead < 0 ? view.queue.length : ahead) >= slots.length) {
      if (ahead >= 0) this.#announce(ahead + 1, view);
      return undefined;
    }
    try {
      return await take(slots, view);
    } catch (failure) {
      this.#isForbidden ||= isForbidden(failure);
      if (this.#isForbidden || !(failure instanceof KubernetesError)) throw failure;
      logger.debug(`A slot is tried again: ${messageOf(failure)}`);
      setTimeout(() => {
        this.#bell.ring();
      }, retryMs).unref();
      return undefined;
    }
  }

  #announce(place: number, view: PoolView): void {
    const text = `${ordinal(place)} in the queue for builder ${this.#options.scope.builder}`;
    if (text === this.#announced) return;
    this.#announced = text;
    this.#options.logger.info(`${text}: ${this.#describeSlots(view)}`);
  }

  #describeSlots(view: PoolView): string {
    const { pods, perPod } = this.#options;
    const all = pods(view);
    const count = all.length * perPod;
    return `its ${count} ${count === 1 ? 'slot is' : 'slots are'} held by ${view.describeHolders(all)}`;
  }

  #timeoutError(view: PoolView | undefined): KubernetesError {
    const { scope, timeoutMs } = this.#options;
    const state =
      view === undefined
        ? 'its Leases cannot be read'
        : `${this.#announced === '' ? '' : `still ${this.#announced}; `}${this.#describeSlots(view)}`;
    return new KubernetesError(
      'QUEUE_TIMEOUT',
      `no free slot on builder ${scope.builder} within ${Math.round(timeoutMs / 1000)} s: ${state}`,
      {
        cause: this.#mirror.lastFailure,
        hint: 'Raise queue-timeout, max-builds-per-pod, or replicas in driver-opts.',
      },
    );
  }
}
