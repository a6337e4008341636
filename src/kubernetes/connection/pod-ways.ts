import { addAbortSignal } from 'node:stream';

import type { CountedDuplex } from '../../shared/dialer.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import { spoken, type TlsClient } from '../../shared/tls-stream.ts';
import type { KubeClient } from '../kube-client.ts';
import type { Pod } from '../kube-objects.ts';
import { trueCondition } from '../pod-state.ts';
import { untilAborted } from '../until-aborted.ts';
import { openDirect } from './direct.ts';
import { execInDaemon, relay, withTarget } from './exec.ts';
import { addressFromHosts, readHosts, readText } from './pod-address.ts';
import { openPortForward } from './port-forward.ts';
import type { ReachedWay } from './reached-way.ts';
import { WayFailure } from './way-failure.ts';

const lookUpTimeoutMs = 5_000;

/** A stream to a daemon, and how it came about. */
export interface Opened {
  readonly stream: CountedDuplex;
  readonly reached: ReachedWay;
}

/** Called while `direct` is getting on. */
export interface Progress {
  /** The pod's address is known. */
  readonly onAddress?: () => void;
  /** Something has answered there. */
  readonly onReached?: () => void;
}

export interface PodWaysOptions {
  readonly client: Pick<KubeClient, 'resolveTarget'>;
  readonly namespace: string;
  readonly logger: Logger;
  readonly pod: Pod;
  readonly secret: string;
  readonly tls: TlsClient;
  /** Ends the looking up of the pod's address, which outlives a single dial. */
  readonly signal: AbortSignal;
}

/** Each of the three ways to the daemon of one pod, as last seen. */
export class PodWays {
  readonly #options: PodWaysOptions;
  #lookUp: Promise<string | undefined> | undefined;

  constructor(options: PodWaysOptions) {
    this.#options = options;
  }

  get pod(): string {
    return this.#options.pod.metadata.name;
  }

  /** Whether the daemon may not listen yet. */
  get isStarting(): boolean {
    return trueCondition(this.#options.pod, 'Ready') === undefined;
  }

  /** Whether the cluster has said the pod's address. */
  get hasAddress(): boolean {
    return this.#options.pod.status?.podIP !== undefined;
  }

  async direct(signal: AbortSignal, { onAddress, onReached }: Progress = {}): Promise<Opened> {
    const { tls, secret } = this.#options;
    const address = await this.#address(signal);
    onAddress?.();
    const stream = await openDirect({ address, tls, onReached }, signal);
    return { stream, reached: { way: 'direct', pod: this.pod, secret, address } };
  }

  async portForward(signal: AbortSignal): Promise<Opened> {
    const { client, namespace, logger, tls, secret } = this.#options;
    const { pod } = this;
    const stream = await withTarget(
      client,
      (target) => openPortForward({ target, namespace, pod, tls, logger }, signal),
      signal,
    );
    return { stream, reached: { way: 'port-forward', pod, secret } };
  }

  /** Waits for the daemon's first bytes, as the other ways do. */
  async exec(signal: AbortSignal): Promise<Opened> {
    const stream = await execInDaemon({ ...this.#options, pod: this.pod }, relay, signal);
    try {
      await spoken(stream, signal);
      return { stream, reached: { way: 'exec', pod: this.pod } };
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  /** From the pod's status, or from the pod itself, which knows it up to a second earlier. */
  async #address(signal: AbortSignal): Promise<string> {
    const { pod } = this.#options;
    const known = pod.status?.podIP;
    if (known !== undefined) return known;
    const address = await untilAborted((this.#lookUp ??= this.#askPod()), signal);
    if (address !== undefined) return address;
    this.#lookUp = undefined;
    throw new WayFailure('passing', `the address of pod ${this.pod} is not known yet`);
  }

  async #askPod(): Promise<string | undefined> {
    const { pod, logger, signal } = this.#options;
    // Their file of hosts is that of their node.
    if (pod.spec?.hostNetwork === true) return undefined;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(lookUpTimeoutMs)]);
    try {
      const exec = await execInDaemon({ ...this.#options, pod: this.pod }, readHosts, inTime);
      addAbortSignal(inTime, exec);
      const address = addressFromHosts(await readText(exec), pod);
      logger.debug(`Pod ${this.pod} has the address ${address ?? 'unknown'} by its hosts file`);
      return address;
    } catch (failure) {
      logger.debug(`Pod ${this.pod} cannot be asked for its address: ${messageOf(failure)}`);
      return undefined;
    }
  }
}
