import { randomIdentity } from '../../shared/identity.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Pod } from '../kube-objects.ts';
import type { HeldLease } from './held-lease.ts';
import type { PodGuard } from './pod-guard.ts';

/** A pod that is claimed for a build; disposing releases it, and never throws. */
export interface Claim extends AsyncDisposable {
  readonly pod: Pod;
  /** Resolves once other runs can see the claim, or it is known that they cannot. */
  readonly registered: Promise<void>;
}

/** For all that a release takes. */
const releaseTimeoutMs = 5_000;

/** A Lease, and the marks on its pod while there is one. */
export class PodClaim implements Claim {
  readonly pod: Pod;
  readonly registered: Promise<void>;
  readonly #lease: HeldLease;
  readonly #guard: PodGuard | undefined;
  readonly #tidy: (signal: AbortSignal) => Promise<void>;
  readonly #logger: Logger;
  readonly #cut = new AbortController();
  #released: Promise<void> | undefined;

  constructor(parts: {
    readonly pod: Pod;
    readonly lease: HeldLease;
    /** Unset where the marks could not be taken off again. */
    readonly guard: PodGuard | undefined;
    /** What else is to be done while the build runs. */
    readonly tidy: (signal: AbortSignal) => Promise<void>;
    readonly logger: Logger;
  }) {
    this.pod = parts.pod;
    this.#lease = parts.lease;
    this.#guard = parts.guard;
    this.#tidy = parts.tidy;
    this.#logger = parts.logger;
    this.registered = this.#register();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #register(): Promise<void> {
    const { signal } = this.#cut;
    try {
      await this.#lease.started;
      if (this.#lease.isHeld) await this.#guard?.mark(this.pod, randomIdentity(), signal);
      await this.#tidy(signal);
    } catch (failure) {
      const { name } = this.pod.metadata;
      this.#logger.debug(`The claim of pod ${name} is not complete: ${messageOf(failure)}`);
    }
  }

  async #release(): Promise<void> {
    const signal = AbortSignal.timeout(releaseTimeoutMs);
    signal.addEventListener('abort', () => {
      this.#cut.abort();
    });
    try {
      await this.#lease.release(signal);
      await this.registered;
      await this.#guard?.unmark(signal);
    } catch (failure) {
      const { name } = this.pod.metadata;
      this.#logger.info(`Pod ${name} is free for others in 40 s at most: ${messageOf(failure)}`);
    }
  }
}
