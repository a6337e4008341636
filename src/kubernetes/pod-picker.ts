import { untilAnswer } from './until-answer.ts';
import type { Pod } from './kube-objects.ts';
import type { Claim } from './leases/pod-claim.ts';
import type { PodClaims } from './leases/pod-claims.ts';
import type { Rollout } from './rollout.ts';

/** Says which pod a build goes to; asked again whenever one did not answer. */
export interface PodPicker extends AsyncDisposable {
  /** Resolves with a pod whose container has been started; rejects with the reason of the signal. */
  pick(signal: AbortSignal): Promise<Pod>;
}

/** Picks among the pods of a builder that no other job uses. */
export class FavouritePicker implements PodPicker {
  readonly #rollout: Rollout;

  constructor(rollout: Rollout) {
    this.#rollout = rollout;
  }

  pick(signal: AbortSignal): Promise<Pod> {
    return untilAnswer(() => this.#rollout.startedPod(), {
      onChange: (listener) => this.#rollout.onChange(listener),
      signal,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Picks and claims a pod that other jobs may use too, and another one once that is gone.
 *
 * Waiting for a slot does not count as waiting for the builder. Disposing releases the claim.
 */
export class ClaimingPicker implements PodPicker {
  readonly #rollout: Rollout;
  readonly #claims: PodClaims;
  #claim: Claim | undefined;

  constructor(rollout: Rollout, claims: PodClaims) {
    this.#rollout = rollout;
    this.#claims = claims;
  }

  async pick(signal: AbortSignal): Promise<Pod> {
    for (;;) {
      this.#claim ??= await this.#takeOne(signal);
      const { uid } = this.#claim.pod.metadata;
      const pod = await this.#until(() => {
        const isCandidate = this.#rollout.candidates().some(({ metadata }) => metadata.uid === uid);
        return isCandidate ? this.#rollout.startedAs(uid) : 'gone';
      }, signal);
      if (pod !== 'gone') return pod;
      await this.#release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
    this.#claims[Symbol.dispose]();
  }

  async #takeOne(signal: AbortSignal): Promise<Claim> {
    const rollout = this.#rollout;
    await this.#until(() => (rollout.candidates().length > 0 ? true : undefined), signal);
    // Of a pool that starts, the favourite is worth waiting for; in one that runs, only what is ready.
    const starts = rollout.startedPods().length === 0;
    const pods = (): readonly Pod[] => (starts ? rollout.candidates() : rollout.startedPods());
    const onChange = (listener: () => void): (() => void) => rollout.onChange(listener);
    let isQueued = false;
    let isAwaited = true;
    const look = (): void => {
      // A builder that loses its pods meanwhile may fail as any other.
      const waitsForPods = !isQueued || pods().length === 0;
      if (waitsForPods === isAwaited) return;
      isAwaited = waitsForPods;
      if (waitsForPods) rollout.await();
      else rollout.arrived();
    };
    const onQueue = (): void => {
      isQueued = true;
      look();
    };
    const stopLooking = onChange(look);
    try {
      const claim = await this.#claims.claim({ pods, onChange, onQueue }, signal);
      isQueued = false;
      look();
      return claim;
    } finally {
      stopLooking();
    }
  }

  #until<T>(ask: () => T | undefined, signal: AbortSignal): Promise<T> {
    return untilAnswer(ask, {
      onChange: (listener) => this.#rollout.onChange(listener),
      signal,
    });
  }

  async #release(): Promise<void> {
    const claim = this.#claim;
    this.#claim = undefined;
    await claim?.[Symbol.asyncDispose]();
  }
}
