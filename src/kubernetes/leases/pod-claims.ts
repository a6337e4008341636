/**
 * Which pod of a shared builder a build goes to, and that it is there.
 *
 * Runs that share a builder know of each other by Leases alone; there is no controller.
 *
 * - A running build has a Lease, owned by its pod so that it goes with it. From those the load of
 *   each pod is known before one is chosen.
 * - With `maxBuildsPerPod` the name of the Lease is that of a slot, of which the pod has so many: the
 *   server creates only one object of a name, so there is never a build too many, however many start
 *   at once. Who finds no slot waits in a queue of Leases; see `waitForSlot`.
 * - A Lease is renewed every 10 s and expires after 40. The server's clock alone decides that: it
 *   stamps each change, and its answers tell the time.
 * - An expired Lease is deleted, of the version that was seen, before its slot is taken. Its holder,
 *   should he still live, finds that out at his next beat, says so, and goes on with his build.
 * - While there is a Lease its pod is marked for autoscalers; see `PodGuard`.
 * - Lack of rights, or a server that fails, costs a line and what it protects, never the build; only
 *   with `maxBuildsPerPod` a failing server is waited for.
 *
 * One build takes six calls, beats aside: list, create, mark, delete, list, unmark.
 */
import { randomIdentity } from '../../shared/identity.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import type { LoadBalance } from '../../options/options.ts';
import { explainChoice, orderByLoad } from '../choice/load-order.ts';
import { type ChoiceKeys, type PodOrder, podOrder } from '../choice/pod-order.ts';
import { usablePods } from '../choice/usable-pods.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import { isForbidden } from '../kube-failure.ts';
import type { Lease, Pod } from '../kube-objects.ts';
import type { Notices } from '../notices.ts';
import { Bell } from './bell.ts';
import { HeldLease } from './held-lease.ts';
import { isTaken, LeaseCalls } from './lease-calls.ts';
import {
  type ClaimHolder,
  type ClaimKind,
  type ClaimScope,
  claimSelector,
  leaseManifest,
  type LeaseManifest,
} from './lease-object.ts';
import { lingering } from './lingering.ts';
import { type Claim, PodClaim } from './pod-claim.ts';
import { PodGuard } from './pod-guard.ts';
import { buildLeaseName, PoolView, type Slot } from './pool-view.ts';
import { ServerClock } from './server-clock.ts';
import { waitForSlot } from './slot-queue.ts';

export interface PodClaimsOptions extends ClaimScope {
  readonly client: KubeClient;
  readonly strategy: LoadBalance;
  readonly keys: ChoiceKeys;
  /** 0: no limit. */
  readonly maxBuildsPerPod: number;
  readonly queueTimeoutMs: number;
  readonly holder: ClaimHolder;
  readonly logger: Logger;
  readonly notices: Notices;
  /** Default every 10 000 ms, and 40 s. */
  readonly timing?: { readonly beatMs: number; readonly durationSeconds: number };
}

/** The pods that there are to choose from. */
export interface PodSource {
  /** Those whose daemon has been started. */
  readonly pods: () => readonly Pod[];
  /** Calls back after each change, until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void;
  /** Called when it is no longer a pod that is waited for, but a slot. */
  readonly onQueue?: () => void;
}

const defaultTiming = { beatMs: 10_000, durationSeconds: 40 };
/** For how long Leases that were read in advance are good enough. */
const freshMs = 2_000;
/** How many slots are tried before we queue up. */
const attempts = 3;
/** How long a call that changes something may go on after the build was cancelled. */
const lingerMs = 3_000;
const tidyAtMost = 5;
const podsLookMs = 60_000;

/** Claims pods of one node of a shared builder. */
export class PodClaims implements Disposable {
  readonly #options: PodClaimsOptions;
  readonly #calls: LeaseCalls;
  readonly #order: PodOrder;
  readonly #stop = new AbortController();
  #hasToldLoss = false;
  /** Marks on a pod could not be taken off again. */
  #cannotList = false;
  #early: { readonly leases: Promise<readonly Lease[] | Unknown>; readonly at: number } | undefined;

  private constructor(options: PodClaimsOptions) {
    const { client, namespace, strategy, keys } = options;
    this.#options = options;
    this.#calls = new LeaseCalls(client, namespace, new ServerClock());
    this.#order = podOrder(strategy, keys);
    this.#early = { leases: this.#read(this.#stop.signal), at: performance.now() };
    this.#early.leases.catch(() => undefined);
  }

  /** Begins to read the Leases, so that they are there when the pods are. */
  static open(options: PodClaimsOptions): PodClaims {
    return new PodClaims(options);
  }

  /**
   * Chooses a pod, once there is one, and claims it; says which and why.
   *
   * With a limit it waits for a slot. Throws `QUEUE_TIMEOUT`, or the reason of the signal.
   */
  async claim(source: PodSource, signal: AbortSignal): Promise<Claim> {
    const { maxBuildsPerPod } = this.#options;
    await this.#untilThereArePods(source, signal);
    const leases = await this.#recent(signal);
    if (maxBuildsPerPod > 0 && leases !== 'forbidden') {
      const claim = await this.#claimSlot(source, leases, signal);
      if (claim !== undefined) return claim;
    }
    const view = this.#viewOf(leases);
    const [pod] = this.#preferred(source, view);
    if (pod === undefined) return this.claim(source, signal);
    this.#explain(pod, source, view);
    return this.#hold(pod, view, { leaseName: buildLeaseName(pod, randomIdentity().slice(0, 8)) });
  }

  /** Ends what was begun in advance; claims live on. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #untilThereArePods(source: PodSource, signal: AbortSignal): Promise<void> {
    const bell = new Bell();
    const stopListening = source.onChange(() => {
      bell.ring();
    });
    try {
      while (this.#usable(source).length === 0) await bell.heard(podsLookMs, signal);
    } finally {
      stopListening();
    }
  }

  async #recent(signal: AbortSignal): Promise<readonly Lease[] | Unknown> {
    const early = this.#early;
    this.#early = undefined;
    const isFresh = early !== undefined && performance.now() - early.at < freshMs;
    return isFresh ? early.leases : this.#read(signal);
  }

  async #read(signal: AbortSignal): Promise<readonly Lease[] | Unknown> {
    const { builder, workload, logger } = this.#options;
    try {
      return await this.#calls.list(claimSelector(builder, workload), signal);
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof KubernetesError)) throw thrown;
      if (isForbidden(thrown)) {
        this.#cannotList = true;
        this.#tellLoss(thrown);
        return 'forbidden';
      }
      logger.info(`Which builds run on builder ${builder} is not known: ${thrown.message}`);
      return 'failed';
    }
  }

  #tellLoss(failure: unknown): void {
    const { maxBuildsPerPod, notices } = this.#options;
    // The names of Leases differ, so that the text does.
    if (this.#hasToldLoss) return;
    this.#hasToldLoss = true;
    const lost =
      maxBuildsPerPod > 0
        ? 'max-builds-per-pod is not kept'
        : 'Builds on this builder do not know of each other';
    notices.once(`${lost}: ${messageOf(failure)}`);
  }

  #viewOf(leases: readonly Lease[] | Unknown): PoolView {
    return new PoolView(typeof leases === 'string' ? [] : leases, this.#calls.clock.nowMs);
  }

  #usable(source: PodSource): Pod[] {
    return usablePods(source.pods());
  }

  #preferred(source: PodSource, { loadOf }: PoolView): Pod[] {
    const { strategy } = this.#options;
    return orderByLoad(this.#order(this.#usable(source)), { strategy, loadOf });
  }

  #explain(pod: Pod, source: PodSource, view: PoolView): void {
    const { strategy, keys, maxBuildsPerPod, logger } = this.#options;
    const text = explainChoice(pod, {
      ranked: this.#order(this.#usable(source)),
      strategy,
      key: strategy === 'buildx' ? keys.buildxKey : keys.affinityKey,
      loadOf: view.loadOf,
      isFull: (other) => maxBuildsPerPod > 0 && view.loadOf(other) >= maxBuildsPerPod,
    });
    logger.info(text);
  }

  /** Undefined when rights are missing, which has been said then. */
  async #claimSlot(
    source: PodSource,
    leases: readonly Lease[] | Unknown,
    signal: AbortSignal,
  ): Promise<Claim | undefined> {
    const { client, maxBuildsPerPod: perPod, queueTimeoutMs: timeoutMs, logger } = this.#options;
    const { workload } = this.#options;
    try {
      const view = this.#viewOf(leases);
      const slots = view.freeSlots(this.#preferred(source, view), perPod);
      // Those who wait come first.
      if (leases !== 'failed' && slots.length > view.queue.length) {
        const claim = await this.#takeSlot(slots.slice(0, attempts), { source, view }, signal);
        if (claim !== undefined) return claim;
      }
      source.onQueue?.();
      const ticketName = `${workload}-queue-${randomIdentity().slice(0, 8)}`;
      return await waitForSlot(
        {
          client,
          calls: this.#calls,
          scope: this.#options,
          perPod,
          timeoutMs,
          pods: (now) => this.#preferred(source, now),
          onPodsChange: source.onChange,
          ticketName,
          enter: ({ forbidden }) => this.#enterQueue(ticketName, source, forbidden),
          take: (free, now) => this.#takeSlot(free, { source, view: now }, signal),
          logger,
        },
        signal,
      );
    } catch (thrown) {
      if (!isForbidden(thrown)) throw thrown;
      this.#tellLoss(thrown);
      return undefined;
    }
  }

  /** Undefined when others were faster. */
  async #takeSlot(
    slots: readonly Slot[],
    now: { readonly source: PodSource; readonly view: PoolView },
    signal: AbortSignal,
  ): Promise<Claim | undefined> {
    const calls = this.#calls;
    const linger = lingering(signal, lingerMs);
    for (const { pod, leaseName, expired } of slots) {
      signal.throwIfAborted();
      // Renewed after all.
      if (expired !== undefined && !(await calls.remove(expired, linger))) continue;
      const manifest = this.#manifests(leaseName, 'build', [pod]);
      const taken = await calls.take(manifest(), linger);
      if (isTaken(taken)) continue;
      if (signal.aborted) await calls.remove(taken, linger);
      signal.throwIfAborted();
      this.#explain(pod, now.source, now.view);
      return this.#hold(pod, now.view, { leaseName, taken: { manifest, lease: taken } });
    }
    return undefined;
  }

  /** A ticket for the queue goes when the first few pods that it is for have all gone. */
  #enterQueue(name: string, source: PodSource, onForbidden: (failure: unknown) => void): HeldLease {
    const { logger } = this.#options;
    const pods = this.#usable(source).slice(0, 5);
    return new HeldLease({
      calls: this.#calls,
      manifest: this.#manifests(name, 'queue', pods),
      beatMs: this.#timing.beatMs,
      logger,
      onForbidden: (failure) => {
        this.#tellLoss(failure);
        onForbidden(failure);
      },
      onStolen: (holder) => {
        logger.debug(`${name} in the queue is now held by ${holder}`);
      },
    });
  }

  #hold(
    pod: Pod,
    view: PoolView,
    {
      leaseName,
      taken,
    }: {
      readonly leaseName: string;
      readonly taken?: { readonly manifest: () => LeaseManifest; readonly lease: Lease };
    },
  ): Claim {
    const { logger, notices } = this.#options;
    const lease = new HeldLease({
      calls: this.#calls,
      manifest: taken?.manifest ?? this.#manifests(leaseName, 'build', [pod]),
      lease: taken?.lease,
      beatMs: this.#timing.beatMs,
      logger,
      onForbidden: (failure) => {
        this.#tellLoss(failure);
      },
      onStolen: (holder) => {
        logger.warning(
          `${holder} has taken the place of this build on pod ${pod.metadata.name}; both go on. ` +
            'That happens when the API server does not hear of a build for 40 s.',
        );
      },
    });
    const guard = this.#cannotList ? undefined : new PodGuard(this.#calls, this.#options, notices);
    const tidy = (signal: AbortSignal): Promise<void> => this.#tidy(view, signal);
    return new PodClaim({ pod, lease, guard, tidy, logger });
  }

  /** Deletes some of what lost builds have left: their pods, which own it, may live for long. */
  async #tidy({ litter }: PoolView, signal: AbortSignal): Promise<void> {
    for (const lease of litter.slice(0, tidyAtMost)) await this.#calls.remove(lease, signal);
  }

  get #timing(): { readonly beatMs: number; readonly durationSeconds: number } {
    return this.#options.timing ?? defaultTiming;
  }

  /** Makes the Lease again and again: the same claim, at different times. */
  #manifests(name: string, kind: ClaimKind, pods: readonly Pod[]): () => LeaseManifest {
    const { holder } = this.#options;
    const { durationSeconds } = this.#timing;
    const claimId = randomIdentity().slice(0, 12);
    return () =>
      leaseManifest(this.#options, {
        name,
        kind,
        pods,
        holder,
        claimId,
        durationSeconds,
        nowMs: this.#calls.clock.nowMs,
      });
  }
}

/** Why Leases are not known. */
type Unknown = 'forbidden' | 'failed';
