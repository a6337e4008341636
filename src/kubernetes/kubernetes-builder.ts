import type { Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { connectWhenStarted } from './connect.ts';
import type { PodConnections } from './connection/pod-connections.ts';
import { encodeReachedWay } from './connection/reached-way.ts';
import type { EarlyDial } from './early-dial.ts';
import type { KubeClient } from './kube-client.ts';
import type { Lifetime } from './lifetime.ts';
import { type BuilderLost, connectedPod, type ConnectedPod } from './loss.ts';
import { PodFate, type RunningStep } from './pod-fate.ts';
import type { PodPicker } from './pod-picker.ts';
import type { BuilderOwner } from './post-mortem.ts';
import type { Rollout } from './rollout.ts';
import type { BuilderState } from './teardown.ts';

/** A provisioned builder; disposing stops everything that runs for it here and removes nothing. */
export interface Builder extends AsyncDisposable {
  readonly state: BuilderState;
  readonly driver: 'kubernetes';
  readonly name: string;
  /** Of the workload. */
  readonly nodeName: string;
  /** A URL that says where it is. */
  readonly endpoint: string;
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
  podLost(signal: AbortSignal, step?: RunningStep): Promise<BuilderLost>;
  /**
   * Says why the connection to the connected pod ended; `cause` is what the connection itself said.
   *
   * `isSilent`: it did not end, but nobody answers, as `answersAnew` says.
   */
  explainLoss(
    signal: AbortSignal,
    cause: unknown,
    more?: { readonly step?: string | undefined; readonly isSilent?: boolean },
  ): Promise<BuilderLost>;
  /**
   * Resolves once the daemon of the connected pod answers on a new stream; `reached` is called
   * before, once the pod at least has been reached. Rejects when it cannot be.
   */
  answersAnew(signal: AbortSignal, reached: () => void): Promise<void>;
  /**
   * Ends the beat and leaves the builder what remains of its longest life.
   *
   * A failure is told and not thrown: it must not hide how the build ended.
   */
  settle(signal: AbortSignal): Promise<void>;
}

/** A pod of a builder and the way to it, as a later step of the job may name them. */
export function reachedPodOf(
  { namespace, name }: Pick<BuilderState, 'namespace' | 'name'>,
  pod: string,
): string {
  return `${namespace}/${name}/${pod}`;
}

/** A builder in the cluster. */
export class KubernetesBuilder implements Builder {
  readonly driver = 'kubernetes';
  readonly state: BuilderState;
  readonly created: boolean;
  readonly expiry: string;
  readonly #client: KubeClient;
  readonly #rollout: Rollout;
  readonly #lifetime: Lifetime | undefined;
  readonly #logger: Logger;
  readonly #early: EarlyDial | undefined;
  readonly #connections: PodConnections;
  readonly #picker: PodPicker;
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
    readonly connections: PodConnections;
    readonly picker: PodPicker;
  }) {
    this.state = parts.state;
    this.created = parts.created;
    this.expiry = parts.expiry;
    this.#client = parts.client;
    this.#rollout = parts.rollout;
    this.#lifetime = parts.lifetime;
    this.#logger = parts.logger;
    this.#early = parts.early;
    this.#connections = parts.connections;
    this.#picker = parts.picker;
  }

  get name(): string {
    return this.state.name;
  }

  get nodeName(): string {
    return this.state.workload;
  }

  get endpoint(): string {
    const { name, namespace, workload } = this.state;
    return `kubernetes:///${name}?namespace=${namespace}&workload=${workload}`;
  }

  get podName(): string | undefined {
    return this.#connected?.name;
  }

  get reachedPod(): string | undefined {
    if (this.podName === undefined) return undefined;
    const { reached } = this.#connections;
    const way = reached?.pod === this.podName ? encodeReachedWay(reached) : this.podName;
    return reachedPodOf(this.state, way);
  }

  async connect<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { namespace } = this.state;
    this.#rollout.await();
    const { value, pod } = await connectWhenStarted(
      {
        rollout: this.#rollout,
        picker: this.#picker,
        logger: this.#logger,
        dialer: (pod) => this.#connections.dialer(pod),
        open,
        early: this.#early,
      },
      signal,
    );
    this.#connected = connectedPod(namespace, pod);
    this.#rollout.arrived();
    return value;
  }

  async podLost(signal: AbortSignal, step?: RunningStep): Promise<BuilderLost> {
    return await this.#fate().lost(signal, step);
  }

  async explainLoss(
    signal: AbortSignal,
    cause: unknown,
    more: { readonly step?: string | undefined; readonly isSilent?: boolean } = {},
  ): Promise<BuilderLost> {
    return await this.#fate().explain(cause, { signal, ...more });
  }

  async answersAnew(signal: AbortSignal, reached: () => void): Promise<void> {
    const { pod } = this.#rollout.lastSeen(this.#requireConnected().uid);
    if (pod === undefined) throw new Error('its pod is gone');
    await this.#connections.answers(pod, signal, reached);
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
    this.#connections[Symbol.dispose]();
    await Promise.all([
      this.#lifetime?.stop(),
      this.#picker[Symbol.asyncDispose](),
      this.#rollout[Symbol.asyncDispose](),
    ]);
  }

  #fate(): PodFate {
    const lifetime = this.#lifetime;
    const owner: BuilderOwner | undefined =
      lifetime === undefined ? undefined : { name: lifetime.name, expiry: () => lifetime.expiry };
    return new PodFate({
      client: this.#client,
      connected: this.#requireConnected(),
      rollout: this.#rollout,
      owner,
    });
  }

  #requireConnected(): ConnectedPod {
    if (this.#connected === undefined) throw new Error('no pod has been connected to yet');
    return this.#connected;
  }
}
