import type { KubeClient } from './kube-client.ts';
import { type BuilderLost, type ConnectedPod, lossOf } from './loss.ts';
import { type BuilderOwner, explainLoss, type Explanation } from './post-mortem.ts';
import type { Rollout } from './rollout.ts';
import { untilAnswer } from './until-answer.ts';

/** The node reports the end of a container up to a second late, and the server a little later. */
const explainWaitMs = 3_000;

/** Tells what the build was at, such as `[2/3] RUN make`; undefined: nothing, or not known. */
export type RunningStep = () => string | undefined;

export interface PodFateOptions {
  readonly client: KubeClient;
  readonly connected: ConnectedPod;
  /** Follows the pod. */
  readonly rollout: Pick<Rollout, 'lastSeen' | 'onChange'>;
  readonly owner: BuilderOwner | undefined;
}

/** What becomes of the pod that a build runs on. */
export class PodFate {
  readonly #options: PodFateOptions;

  constructor(options: PodFateOptions) {
    this.#options = options;
  }

  /** Resolves, with the reason, when the pod is gone or its daemon has ended. */
  async lost(signal: AbortSignal, step: RunningStep = () => undefined): Promise<BuilderLost> {
    const seen = await this.#seenLost(signal);
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(explainWaitMs)]);
    const asked = await this.#ask(seen.cause, { signal: inTime, step: step() }).catch(
      () => undefined,
    );
    signal.throwIfAborted();
    return asked?.explained === true ? asked.error : seen;
  }

  /**
   * Says why the connection to the pod ended; `cause` is what the connection itself said.
   *
   * `isSilent`: it did not end, but nobody answers. Throws the reason of the signal only.
   */
  async explain(
    cause: unknown,
    options: {
      readonly signal: AbortSignal;
      readonly step?: string | undefined;
      readonly isSilent?: boolean;
    },
  ): Promise<BuilderLost> {
    const { signal, isSilent = false } = options;
    const first = await this.#ask(cause, options);
    // Who was waited for in silence has had his time.
    if (first.explained || isSilent) return first.error;
    const wait = AbortSignal.any([signal, AbortSignal.timeout(explainWaitMs)]);
    await this.#seenLost(wait).catch(() => undefined);
    signal.throwIfAborted();
    return (await this.#ask(cause, options)).error;
  }

  #seenLost(signal: AbortSignal): Promise<BuilderLost> {
    const { connected, rollout } = this.#options;
    const look = (): BuilderLost | undefined => {
      const { pod, gone } = rollout.lastSeen(connected.uid);
      return lossOf(connected, { current: pod, gone });
    };
    return untilAnswer(look, { onChange: (again) => rollout.onChange(again), signal });
  }

  #ask(
    cause: unknown,
    options: {
      readonly signal: AbortSignal;
      readonly step?: string | undefined;
      readonly isSilent?: boolean;
    },
  ): Promise<Explanation> {
    const { client, connected, rollout, owner } = this.#options;
    const { pod: lastSeen } = rollout.lastSeen(connected.uid);
    return explainLoss(client, connected, { ...options, lastSeen, cause, owner });
  }
}
