import type { Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { connectWhenStarted } from './connect.ts';
import type { EarlyDial } from './early-dial.ts';
import type { KubernetesError } from './errors.ts';
import type { KubeClient } from './kube-client.ts';
import type { Lifetime } from './lifetime.ts';
import { connectedPod, type ConnectedPod, explainLoss, type Explanation, lossOf } from './loss.ts';
import type { Rollout } from './rollout.ts';
import type { BuilderState } from './teardown.ts';
import { untilAnswer } from './until-answer.ts';

/** The node reports the end of a container up to a second late, and the server a little later. */
const explainWaitMs = 3_000;

/** A provisioned builder; disposing stops everything that runs for it here and removes nothing. */
export interface Builder extends AsyncDisposable {
  readonly state: BuilderState;
  /** Whether this call created it, rather than found it. */
  readonly created: boolean;
  /** What becomes of it if nobody removes it, as a clause such as `it expires at …`. */
  readonly expiry: string;
  /** The pod that `connect` reached. */
  readonly podName: string | undefined;
  /** The same with all that it belongs to, for `lastPod` of a later step. */
  readonly reachedPod: string | undefined;
  /**
   * Runs `open` against the chosen pod as soon as that may succeed, again and again while the
   * causes are transient.
   *
   * The signal given to `open` covers the opening only. Throws `KubernetesError` when the pods
   * cannot come, or not in time.
   */
  connect<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** Resolves, with the reason, when the connected pod is gone or its container has ended. */
  podLost(signal: AbortSignal): Promise<KubernetesError>;
  /**
   * Says why the connection to the connected pod ended: always `BUILDER_LOST`, with `cause`, which
   * is what the connection itself said.
   */
  explainLoss(signal: AbortSignal, cause: unknown): Promise<KubernetesError>;
  /**
   * Ends the beat and leaves the builder what remains of its longest life.
   *
   * A failure is told and not thrown: it must not hide how the build ended.
   */
  settle(signal: AbortSignal): Promise<void>;
}

/** One pod of a builder, as a later step of the job may name it. */
export function reachedPodOf(
  { namespace, name }: Pick<BuilderState, 'namespace' | 'name'>,
  pod: string,
): string {
  return `${namespace}/${name}/${pod}`;
}

/** A builder in the cluster. */
export class KubernetesBuilder implements Builder {
  readonly state: BuilderState;
  readonly created: boolean;
  readonly expiry: string;
  readonly #client: KubeClient;
  readonly #rollout: Rollout;
  readonly #lifetime: Lifetime | undefined;
  readonly #logger: Logger;
  readonly #early: EarlyDial | undefined;
  #connected: ConnectedPod | undefined;

  constructor(parts: {
    readonly client: KubeClient;
    readonly state: BuilderState;
    readonly created: boolean;
    readonly expiry: string;
    readonly rollout: Rollout;
    readonly lifetime: Lifetime | undefined;
    readonly logger: Logger;
    readonly early: EarlyDial | undefined;
  }) {
    this.state = parts.state;
    this.created = parts.created;
    this.expiry = parts.expiry;
    this.#client = parts.client;
    this.#rollout = parts.rollout;
    this.#lifetime = parts.lifetime;
    this.#logger = parts.logger;
    this.#early = parts.early;
  }

  get podName(): string | undefined {
    return this.#connected?.name;
  }

  get reachedPod(): string | undefined {
    return this.podName === undefined ? undefined : reachedPodOf(this.state, this.podName);
  }

  async connect<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { namespace } = this.state;
    this.#rollout.await();
    const { value, pod } = await connectWhenStarted(
      {
        client: this.#client,
        rollout: this.#rollout,
        namespace,
        logger: this.#logger,
        open,
        early: this.#early,
      },
      signal,
    );
    this.#connected = connectedPod(namespace, pod);
    this.#rollout.arrived();
    return value;
  }

  podLost(signal: AbortSignal): Promise<KubernetesError> {
    const connected = this.#requireConnected();
    const look = (): KubernetesError | undefined => {
      const { pod, gone } = this.#rollout.lastSeen(connected.uid);
      return lossOf(connected, { current: pod, gone });
    };
    return untilAnswer(look, { onChange: (again) => this.#rollout.onChange(again), signal });
  }

  async explainLoss(signal: AbortSignal, cause: unknown): Promise<KubernetesError> {
    const connected = this.#requireConnected();
    const explain = (): Promise<Explanation> => {
      const { pod } = this.#rollout.lastSeen(connected.uid);
      return explainLoss(this.#client, connected, { lastSeen: pod, cause, signal });
    };
    const first = await explain();
    if (first.explained) return first.error;
    const wait = AbortSignal.any([signal, AbortSignal.timeout(explainWaitMs)]);
    await this.podLost(wait).catch(() => undefined);
    signal.throwIfAborted();
    return (await explain()).error;
  }

  async settle(signal: AbortSignal): Promise<void> {
    try {
      await this.#lifetime?.settle(signal);
    } catch (failure) {
      const { name } = this.state;
      this.#logger.info(`Builder ${name} may end in five minutes: ${messageOf(failure)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#early?.[Symbol.dispose]();
    await Promise.all([this.#lifetime?.stop(), this.#rollout[Symbol.asyncDispose]()]);
  }

  #requireConnected(): ConnectedPod {
    if (this.#connected === undefined) throw new Error('no pod has been connected to yet');
    return this.#connected;
  }
}
