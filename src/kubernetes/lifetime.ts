import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../shared/logger.ts';
import { messageOf } from '../shared/errors.ts';
import type { KubeClient, Observed } from './kube-client.ts';
import { isConflict, isForbidden, isNotFound } from './kube-failure.ts';
import type { Job } from './kube-objects.ts';

/** How far ahead of now a beat sets the deadline. */
export const beatAheadMs = 5 * 60_000;
const longestPauseMs = 30_000;
const shortestPauseMs = 1000;
/** The same for a step that works on when the longest life of its builder is over, at most. */
const overtimeAheadMs = 90_000;

/**
 * Keeps the owner Job of a builder alive while we are, and leaves it a last deadline at the end.
 *
 * The Job of a builder that other jobs may use too is only ever given a later deadline.
 *
 * A Job counts its deadline from its start, by the server's clock. So times here are ages: what the
 * server's clock said when the Job was last seen, less its start, plus what has passed since by our
 * monotonic clock. The clock of the runner does not matter.
 */
export class Lifetime {
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #isShared: boolean;
  /** Age of the Job at which the builder should have ended. */
  readonly #endMs: number;
  /** How far ahead of now a beat sets the deadline beyond that. */
  readonly #overtimeMs: number;
  readonly #stop = new AbortController();
  readonly #job: { readonly namespace: string; readonly name: string };
  #seen: Sighting;
  #beating: Promise<void> | undefined;

  constructor(options: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly job: Observed<Job>;
    /**
     * Counted from now if it is shared, else from the creation of the Job; undefined: what others
     * have given it.
     */
    readonly maxLifetimeMs: number | undefined;
    readonly isShared: boolean;
    readonly logger: Logger;
  }) {
    const { maxLifetimeMs, isShared } = options;
    this.#client = options.client;
    this.#logger = options.logger;
    this.#isShared = isShared;
    this.#job = { namespace: options.namespace, name: options.job.object.metadata.name };
    this.#seen = observe(options.job);
    this.#overtimeMs = Math.min(overtimeAheadMs, maxLifetimeMs ?? Infinity);
    const { ageMs, deadlineMs, startDelayMs } = this.#seen;
    if (maxLifetimeMs === undefined) this.#endMs = deadlineMs;
    else this.#endMs = isShared ? ageMs + maxLifetimeMs : maxLifetimeMs - startDelayMs;
  }

  /**
   * Beats every 30 s, or thrice before the deadline where that is sooner, and at once if asked to;
   * does not keep the process alive.
   */
  start(when: 'at once' | 'in time' = 'in time'): void {
    this.#beating ??= this.#beat(when === 'at once' ? 0 : this.#pauseMs);
  }

  /** Whether the Job has what remains of its longest life, as between two steps. */
  get isSettled(): boolean {
    return this.#seen.deadlineMs >= this.#endMs - 1000;
  }

  /** Whether the deadline that was set last has passed: that of the longest life, or of a beat. */
  get expiry(): 'max-lifetime' | 'silence' | undefined {
    const ageMs = ageOf(this.#seen);
    // The server's clock, as it was told us, has whole seconds.
    if (ageMs < this.#seen.deadlineMs - 2000) return undefined;
    return this.isSettled ? 'max-lifetime' : 'silence';
  }

  /** Of the Job. */
  get name(): string {
    return this.#job.name;
  }

  /** Ends the beat; the Job then lives for what is left of its longest life. */
  async settle(signal: AbortSignal): Promise<void> {
    await this.stop();
    if (!this.isSettled) await this.#setDeadline(this.#endMs, signal);
  }

  /** Ends the beat, and leaves the deadline as the last one set it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }

  get #pauseMs(): number {
    const leftMs = this.#seen.deadlineMs - ageOf(this.#seen);
    return Math.min(longestPauseMs, Math.max(shortestPauseMs, leftMs / 3));
  }

  async #beat(firstMs: number): Promise<void> {
    const { signal } = this.#stop;
    for (let waitMs = firstMs; ; waitMs = this.#pauseMs) {
      try {
        await sleep(waitMs, undefined, { signal, ref: false });
        await this.#setDeadline(this.#nextDeadlineMs(), signal);
      } catch (thrown) {
        if (signal.aborted) return;
        const why = messageOf(thrown);
        if (isNotFound(thrown)) {
          this.#logger.warning(`The owner of the builder is gone, and the builder with it: ${why}`);
          return;
        }
        if (isForbidden(thrown)) {
          this.#logger.info(`A builder whose runner is lost lives until max-lifetime: ${why}`);
          return;
        }
        this.#logger.debug(`A beat failed and is tried again: ${why}`);
      }
    }
  }

  /**
   * Where a beat sets the deadline: five minutes ahead, but not beyond the end of the longest life.
   *
   * A step that works on beyond that end is not cut off: its builder goes soon after its last beat.
   */
  #nextDeadlineMs(): number {
    const ageMs = ageOf(this.#seen);
    const isOvertime = ageMs + this.#overtimeMs / 2 > this.#endMs;
    return isOvertime ? ageMs + this.#overtimeMs : Math.min(ageMs + beatAheadMs, this.#endMs);
  }

  async #setDeadline(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const activeDeadlineSeconds = Math.max(1, Math.floor(deadlineMs / 1000));
    const patch = { spec: { activeDeadlineSeconds } };
    if (this.#isShared) await this.#raiseDeadline(activeDeadlineSeconds, signal);
    else this.#seen = observe(await this.#client.patch('jobs', { ...this.#job, patch }, signal));
  }

  /** Another job may have moved the deadline since it was seen. */
  async #raiseDeadline(activeDeadlineSeconds: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { deadlineMs, resourceVersion } = this.#seen;
      if (deadlineMs >= activeDeadlineSeconds * 1000) return;
      const patch = { metadata: { resourceVersion }, spec: { activeDeadlineSeconds } };
      try {
        this.#seen = observe(await this.#client.patch('jobs', { ...this.#job, patch }, signal));
        return;
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
        this.#seen = observe(await this.#client.get('jobs', this.#job, signal));
      }
    }
  }
}

/** When the Job was seen last: its age then, and how long after its creation it had started. */
interface Sighting {
  readonly ageMs: number;
  readonly startDelayMs: number;
  /** Counted from its start. */
  readonly deadlineMs: number;
  readonly resourceVersion: string | undefined;
  /** Of `performance.now()`. */
  readonly at: number;
}

/** When the Job was made, by the server's clock. */
export function createdMs({ object, serverTimeMs }: Observed<Job>): number {
  return Date.parse(object.metadata.creationTimestamp ?? '') || serverTimeMs;
}

function observe(job: Observed<Job>): Sighting {
  const { object, serverTimeMs } = job;
  const startedMs = Date.parse(object.status?.startTime ?? '') || createdMs(job);
  return {
    ageMs: Math.max(0, serverTimeMs - startedMs),
    startDelayMs: Math.max(0, startedMs - createdMs(job)),
    deadlineMs: (object.spec?.activeDeadlineSeconds ?? 0) * 1000,
    resourceVersion: object.metadata.resourceVersion,
    at: performance.now(),
  };
}

function ageOf({ ageMs, at }: Sighting): number {
  return ageMs + performance.now() - at;
}
