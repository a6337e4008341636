import type { ConnectionKind } from '../../options/options.ts';
import type { CountedDuplex, Dialer } from '../../shared/dialer.ts';
import { type Logger, nullLogger } from '../../shared/logger.ts';
import { spoken, type TlsClient } from '../../shared/tls-stream.ts';
import type { KubeClient } from '../kube-client.ts';
import type { Pod } from '../kube-objects.ts';
import { bestWay } from './best-way.ts';
import { openDirect } from './direct.ts';
import { execInDaemon, relay, withTarget } from './exec.ts';
import { type Opened, PodWays } from './pod-ways.ts';
import { openPortForward } from './port-forward.ts';
import type { ReachedWay } from './reached-way.ts';
import { type TlsAnswer, TlsSecrets, tlsSecretOf } from './tls-secret.ts';
import { WayFailure } from './way-failure.ts';

/** Of the way that an earlier step took: nothing else is tried meanwhile. */
const earlyTimeoutMs = 1_000;

export interface PodConnectionsOptions {
  readonly client: Pick<KubeClient, 'get' | 'resolveTarget'>;
  readonly namespace: string;
  /** The name in its daemons' certificates. */
  readonly builder: string;
  readonly kind: ConnectionKind;
  readonly logger: Logger;
}

/**
 * The ways to the daemons of one builder: `direct`, `port-forward` and `exec`.
 *
 * `auto` takes the best that gets through. A pod without certificates, such as one that buildx made,
 * is reached by `exec` alone. Which Secret has the client's certificate is read from the pod, so
 * that pods with old and with renewed certificates live side by side. Disposing ends what is under
 * way, and no stream that was handed out.
 */
export class PodConnections implements Disposable {
  /** The client's certificates: to be read ahead, or put where this process has made them. */
  readonly secrets: TlsSecrets;
  readonly #options: PodConnectionsOptions;
  readonly #end = new AbortController();
  /** What was found out about the pod that is dialed, which changes with each of its versions. */
  #ways: { readonly pod: Pod; readonly ways: PodWays } | undefined;
  #reached: ReachedWay | undefined;

  constructor(options: PodConnectionsOptions) {
    this.#options = options;
    this.secrets = new TlsSecrets({ ...options, signal: this.#end.signal });
  }

  /** Begins to read a Secret that is likely to be needed; a failure is left to who needs it. */
  readAhead(secret: string): void {
    if (this.#options.kind === 'exec') return;
    this.secrets.get(secret, this.#end.signal).catch(() => undefined);
  }

  /** The way of the stream that was opened last. */
  get reached(): ReachedWay | undefined {
    return this.#reached;
  }

  /**
   * Dials the daemon of a pod as last seen.
   *
   * The dialer throws `WayFailure`, or what exec throws (see `openExecStream`); `kindOf` tells what
   * a failure means.
   */
  dialer(pod: Pod): Dialer {
    return async (signal) => this.#took(await this.#dial(pod, signal));
  }

  /** Dials along the way that an earlier step took; undefined where that is not wanted any more. */
  earlyDialer(reached: ReachedWay): Dialer | undefined {
    const { kind } = this.#options;
    if (kind !== 'auto' && kind !== reached.way) return undefined;
    return async (signal) => {
      if (reached.way === 'exec') return this.#took(await this.#exec(reached.pod, signal));
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(earlyTimeoutMs)]);
      const tls = this.secrets.get(reached.secret, inTime).then(clientOf);
      const stream =
        reached.way === 'direct'
          ? await openDirect({ address: reached.address, tls }, inTime)
          : await this.#portForward(reached.pod, tls, inTime);
      return this.#took({ stream, reached });
    };
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  /**
   * Resolves once the daemon greets on a new stream; `reached` is called before, once the pod at
   * least takes one.
   *
   * It is the node that takes an exec, also while the daemon is too busy to greet anyone, so that is
   * tried beside the chosen way. Rejects when both fail, or with the signal.
   */
  async answers(pod: Pod, signal: AbortSignal, reached: () => void): Promise<void> {
    const { name } = pod.metadata;
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    const greets = async ({ stream }: Opened): Promise<void> => {
      stream.on('error', () => undefined);
      try {
        reached();
        await spoken(stream, either);
      } finally {
        stream.destroy();
      }
    };
    const chosen = this.#dial(pod, either, nullLogger).then(greets);
    const ways =
      this.#options.kind === 'exec' ? [chosen] : [chosen, this.#exec(name, either).then(greets)];
    try {
      await Promise.any(ways);
    } catch {
      signal.throwIfAborted();
      // That of the chosen way says most.
      await chosen;
    } finally {
      done.abort();
      await Promise.allSettled(ways);
    }
  }

  async #dial(
    pod: Pod,
    signal: AbortSignal,
    logger: Logger = this.#options.logger,
  ): Promise<Opened> {
    const { kind } = this.#options;
    const { name } = pod.metadata;
    if (kind === 'exec') return this.#exec(name, signal);
    const secret = tlsSecretOf(pod);
    const answer =
      secret === undefined ? noCertificates(name) : await this.secrets.get(secret, signal);
    if ('client' in answer) {
      const ways = this.#waysTo(pod, { secret: secret ?? '', tls: answer.client });
      if (kind === 'direct') return ways.direct(signal);
      return kind === 'auto' ? bestWay(ways, logger, signal) : ways.portForward(signal);
    }
    if (kind !== 'auto') throw answer.failure;
    logger.debug(`Connection to pod ${name}: exec alone, since ${answer.failure.message}`);
    return this.#exec(name, signal);
  }

  #waysTo(pod: Pod, certificates: { readonly secret: string; readonly tls: TlsClient }): PodWays {
    if (this.#ways?.pod !== pod) {
      const { signal } = this.#end;
      const ways = new PodWays({ ...this.#options, pod, ...certificates, signal });
      this.#ways = { pod, ways };
    }
    return this.#ways.ways;
  }

  /** Does not wait for the daemon's first bytes: whoever dials has things to do until then. */
  async #exec(pod: string, signal: AbortSignal): Promise<Opened> {
    const stream = await execInDaemon({ ...this.#options, pod }, relay, signal);
    return { stream, reached: { way: 'exec', pod } };
  }

  #portForward(pod: string, tls: Promise<TlsClient>, signal: AbortSignal): Promise<CountedDuplex> {
    const { client, namespace, logger } = this.#options;
    return withTarget(
      client,
      (target) => openPortForward({ target, namespace, pod, tls, logger }, signal),
      signal,
    );
  }

  #took({ stream, reached }: Opened): CountedDuplex {
    this.#reached = reached;
    return stream;
  }
}

function noCertificates(pod: string): TlsAnswer {
  const message = `pod ${pod} has no certificates to be reached by`;
  const hint =
    'Its builder was made by buildx, by an older version, or without the right to create Secrets: use connection: exec, or make it anew.';
  return { failure: new WayFailure('impossible', message, { hint }) };
}

function clientOf(answer: TlsAnswer): TlsClient {
  if ('client' in answer) return answer.client;
  throw answer.failure;
}
