import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../shared/logger.ts';
import { messageOf } from '../shared/errors.ts';
import type { KubeClient, Observed } from './kube-client.ts';
import { isForbidden, isNotFound } from './kube-failure.ts';
import type { Job } from './kube-objects.ts';

/** How far ahead of now a beat sets the deadline. */
export const beatAheadMs = 5 * 60_000;
const beatIntervalMs = 30_000;

/**
 * Keeps the owner Job of a builder alive while we are, and leaves it a last deadline at the end.
 *
 * A Job counts its deadline from its start, by the server's clock. So times here are ages: what the
 * server's clock said when the Job was last seen, less its start, plus what has passed since by our
 * monotonic clock. The clock of the runner does not matter.
 */
export class Lifetime {
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #maxLifetimeMs: number;
  readonly #stop = new AbortController();
  readonly #job: { readonly namespace: string; readonly name: string };
  #seen: Sighting;
  #beating: Promise<void> | undefined;

  constructor(options: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly job: Observed<Job>;
    readonly maxLifetimeMs: number;
    readonly logger: Logger;
  }) {
    this.#client = options.client;
    this.#logger = options.logger;
    this.#maxLifetimeMs = options.maxLifetimeMs;
    this.#job = { namespace: options.namespace, name: options.job.object.metadata.name };
    this.#seen = observe(options.job);
  }

  /** Beats after `firstMs`, then every 30 s; does not keep the process alive. */
  start(firstMs = beatIntervalMs): void {
    this.#beating ??= this.#beat(firstMs);
  }

  /** Whether the Job has what remains of its longest life, as between two steps. */
  get isSettled(): boolean {
    return this.#seen.deadlineMs >= this.#lastDeadlineMs - 1000;
  }

  /** Ends the beat; the Job then lives for what is left of its longest life. */
  async settle(signal: AbortSignal): Promise<void> {
    await this.stop();
    if (!this.isSettled) await this.#setDeadline(this.#lastDeadlineMs, signal);
  }

  /** Ends the beat, and leaves the deadline as the last one set it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }

  async #beat(firstMs: number): Promise<void> {
    const { signal } = this.#stop;
    for (let waitMs = firstMs; ; waitMs = beatIntervalMs) {
      try {
        await sleep(waitMs, undefined, { signal, ref: false });
        await this.#setDeadline(nextDeadlineMs(this.#seen, this.#maxLifetimeMs), signal);
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
        this.#logger.debug(`A beat failed and is tried again in 30 s: ${why}`);
      }
    }
  }

  get #lastDeadlineMs(): number {
    return this.#maxLifetimeMs - this.#seen.startDelayMs;
  }

  async #setDeadline(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const activeDeadlineSeconds = Math.max(1, Math.floor(deadlineMs / 1000));
    const patch = { spec: { activeDeadlineSeconds } };
    const job = await this.#client.patch('jobs', { ...this.#job, patch }, signal);
    this.#seen = observe(job);
  }
}

/** When the Job was seen last: its age then, and how long after its creation it had started. */
interface Sighting {
  readonly ageMs: number;
  readonly startDelayMs: number;
  /** Counted from its start. */
  readonly deadlineMs: number;
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
    at: performance.now(),
  };
}

/** Counted from the start of the Job, which lives at most `maxLifetimeMs` from its creation. */
export function nextDeadlineMs(seen: Sighting, maxLifetimeMs: number): number {
  const ageMs = seen.ageMs + performance.now() - seen.at;
  return Math.min(ageMs + beatAheadMs, maxLifetimeMs - seen.startDelayMs);
}
