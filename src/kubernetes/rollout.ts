import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { choosePod } from './choice/choose-pod.ts';
import { type PodOrder, podOrder } from './choice/pod-order.ts';
import { usablePods } from './choice/usable-pods.ts';
import { KubernetesError } from './errors.ts';
import {
  findAll,
  type Finding,
  hasStarted,
  isHopeless,
  isRunning,
  isScalingUp,
  refusesScaleUp,
  type Snapshot,
  type Wanted,
} from './findings.ts';
import type { KubeClient, ResourceName } from './kube-client.ts';
import type { Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import { Mirror } from './mirror.ts';
import type { Notices } from './notices.ts';
import { PullCounter } from './pull-counter.ts';

/** How long what looks hopeless may last: autoscalers look every 10 s. */
const stuckGraceMs = 15_000;
/** The wait when a node is being added, unless the user chose one. */
const scaleUpTimeoutMs = 10 * 60_000;
const logLines = 20;

export interface RolloutOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly builder: string;
  /** Label selector of its workload and pods. */
  readonly selector: string;
  readonly wanted: Wanted;
  readonly replicas: number;
  readonly affinityKey: string;
  /** Which pod is preferred; by default sticky by `affinityKey`. */
  readonly order?: PodOrder;
  readonly timeoutMs: number;
  readonly timeoutIsExplicit: boolean;
  readonly notices: Notices;
  readonly logger: Logger;
}

/**
 * Follows a builder's workload, pods and events until one of its pods has started.
 *
 * Each new reason is told once; what ends the wait aborts `failed`, with the error as its reason.
 */
export class Rollout {
  readonly #options: RolloutOptions;
  readonly #stop = new AbortController();
  readonly #stopOthers = new AbortController();
  readonly #failed = new AbortController();
  readonly #deployments: Mirror<'deployments'>;
  readonly #replicaSets: Mirror<'replicasets'>;
  readonly #pods: Mirror<'pods'>;
  readonly #events: Mirror<'events'>;
  readonly #stuckSince = new Map<string, number>();
  readonly #pulls = new PullCounter();
  readonly #listeners = new Set<() => void>();
  readonly #runs: Promise<void>[] = [];
  #followsTheRest = false;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #unseen = new Set<ResourceName>();
  #waiting = false;
  #lastAttempt: unknown;

  constructor(options: RolloutOptions) {
    this.#options = options;
    const labelSelector = options.selector;
    this.#deployments = this.#mirror('deployments', { labelSelector });
    this.#replicaSets = this.#mirror('replicasets', { labelSelector });
    this.#pods = this.#mirror('pods', { labelSelector });
    this.#events = this.#mirror('events', { onlyNew: true });
  }

  /** Aborts when the builder cannot come. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** The pods as last seen. */
  get pods(): readonly Pod[] {
    return [...this.#pods.objects.values()];
  }

  /** A pod by uid, even one that is gone. */
  lastSeen(uid: string): { readonly pod: Pod | undefined; readonly gone: boolean } {
    const pod = this.#pods.objects.get(uid);
    return {
      pod: pod ?? this.#pods.deleted.get(uid),
      gone: this.#pods.synced && pod === undefined,
    };
  }

  /** Begins to look at the pods; the clock of the timeout starts with `await`. */
  followPods(): void {
    this.#follow(this.#pods.run(this.#stop.signal));
  }

  /** Begins to look at all else that says why there is no pod yet; does so once. */
  followTheRest(): void {
    if (this.#followsTheRest) return;
    this.#followsTheRest = true;
    const signal = AbortSignal.any([this.#stop.signal, this.#stopOthers.signal]);
    for (const mirror of [this.#deployments, this.#replicaSets, this.#events]) {
      this.#follow(mirror.run(signal));
    }
  }

  /** Resolves once the pods that there are have been listed. */
  async podsListed(signal: AbortSignal): Promise<void> {
    while (!this.#pods.synced) {
      signal.throwIfAborted();
      this.#failed.signal.throwIfAborted();
      await this.#nextChange(signal);
    }
  }

  /** Starts the clock: from now on the builder may fail. */
  await(): void {
    this.#waiting = true;
    this.#startedAt = performance.now();
    this.#check();
  }

  /** The builder has answered: only its pods are followed from now on. */
  arrived(): void {
    this.#waiting = false;
    clearTimeout(this.#timer);
    this.#stopOthers.abort();
  }

  /** Why the last try to reach the daemon failed, for the message when time is up. */
  noteAttempt(failure: unknown): void {
    this.#lastAttempt = failure;
    this.followTheRest();
  }

  /** The pod to use, if its container has been started, as far as is known. */
  startedPod(): Pod | undefined {
    const snapshot = this.#snapshot();
    const { affinityKey, replicas, wanted } = this.#options;
    const { order = podOrder('sticky', { affinityKey, buildxKey: '' }) } = this.#options;
    const refused = findAll({ ...snapshot, pods: [], events: [] }, wanted).length > 0;
    const pod = choosePod(this.pods, {
      order,
      replicas,
      settled: refused || this.pods.some(isRunning),
      isHopeless: (candidate) => isHopeless(candidate, snapshot, wanted),
    });
    return pod !== undefined && this.#hasStarted(pod, snapshot) ? pod : undefined;
  }

  /** All pods that could be used now, as far as is known. */
  startedPods(): Pod[] {
    const snapshot = this.#snapshot();
    return usablePods(snapshot.pods).filter(
      (pod) => this.#hasStarted(pod, snapshot) && !isHopeless(pod, snapshot, this.#options.wanted),
    );
  }

  /** Calls back after each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.arrived();
    this.#stop.abort();
    await Promise.allSettled(this.#runs);
  }

  /** Without events the node's word comes up to a second late: a node is then reason to try. */
  #hasStarted(pod: Pod, { events }: Snapshot): boolean {
    if (isRunning(pod)) return true;
    return this.#unseen.has('events') ? pod.spec?.nodeName !== undefined : hasStarted(pod, events);
  }

  #follow(run: Promise<void>): void {
    run.catch((failure: unknown) => {
      this.#failed.abort(failure);
    });
    this.#runs.push(run);
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        stop();
        signal.removeEventListener('abort', done);
        this.#failed.signal.removeEventListener('abort', done);
        resolve();
      };
      const stop = this.onChange(done);
      signal.addEventListener('abort', done);
      this.#failed.signal.addEventListener('abort', done);
    });
  }

  #mirror<R extends ResourceName>(
    resource: R,
    more: { readonly labelSelector?: string; readonly onlyNew?: boolean },
  ): Mirror<R> {
    const { client, namespace, logger } = this.#options;
    const { onlyNew = false, ...selection } = more;
    return new Mirror({
      client,
      resource,
      logger,
      onlyNew,
      selection: { namespace, ...selection },
      onChange: () => {
        this.#check();
      },
      onDegraded: (mode) => {
        if (mode === 'unseen') this.#unseen.add(resource);
        logger.debug(`${resource} in namespace ${namespace} are ${mode}: rights are missing`);
        this.#check();
      },
    });
  }

  #snapshot(): Snapshot {
    const { builder } = this.#options;
    return {
      workloads: [...this.#deployments.objects.values(), ...this.#replicaSets.objects.values()],
      pods: this.pods,
      events: [...this.#events.objects.values()].filter(
        ({ involvedObject }) => involvedObject.name?.startsWith(builder) === true,
      ),
      failedPulls: this.#pulls.counts,
    };
  }

  #check(): void {
    this.#pulls.look(this.pods);
    if (this.#waiting) this.#judge(this.#snapshot());
    for (const listener of this.#listeners) listener();
  }

  #judge(snapshot: Snapshot): void {
    const { wanted, notices } = this.#options;
    const findings = findAll(snapshot, wanted);
    for (const { text } of findings) notices.once(text);
    const now = performance.now();
    const scalingUp = isScalingUp(snapshot.events);
    const graceMs = refusesScaleUp(snapshot.events) ? 0 : stuckGraceMs;
    const stuckUntil = this.#stuckUntil(findings, now, graceMs);
    const canServe = snapshot.pods.some((pod) => !isHopeless(pod, snapshot, wanted));
    const fatal = findings.find(
      (finding) =>
        finding.severity === 'fatal' ||
        (!scalingUp && (stuckUntil.get(finding.text) ?? Infinity) <= now),
    );
    if (fatal !== undefined && !(canServe && snapshot.pods.some(isRunning))) {
      void this.#fail(fatal);
      return;
    }
    const deadline = this.#deadline(scalingUp);
    if (now >= deadline) this.#failed.abort(this.#timeoutError(findings.at(-1), deadline));
    else this.#lookAgainAt(Math.min(deadline, ...(scalingUp ? [] : stuckUntil.values())), now);
  }

  /** When each stuck finding ends the wait; what is no longer found starts anew next time. */
  #stuckUntil(findings: readonly Finding[], now: number, graceMs: number): Map<string, number> {
    const stuck = findings.filter(({ severity }) => severity === 'stuck').map(({ text }) => text);
    for (const text of this.#stuckSince.keys()) {
      if (!stuck.includes(text)) this.#stuckSince.delete(text);
    }
    for (const text of stuck) {
      if (!this.#stuckSince.has(text)) this.#stuckSince.set(text, now);
    }
    return new Map([...this.#stuckSince].map(([text, since]) => [text, since + graceMs]));
  }

  #deadline(scalingUp: boolean): number {
    const { timeoutMs, timeoutIsExplicit } = this.#options;
    const stretched = scalingUp && !timeoutIsExplicit;
    return this.#startedAt + (stretched ? Math.max(timeoutMs, scaleUpTimeoutMs) : timeoutMs);
  }

  #lookAgainAt(time: number, now: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#check();
    }, time - now);
  }

  async #fail(finding: Finding): Promise<void> {
    this.#waiting = false;
    clearTimeout(this.#timer);
    const log = await this.#readLog(finding);
    this.#failed.abort(
      new KubernetesError(finding.code, `${finding.text}${log}`, { hint: finding.hint }),
    );
  }

  /** The last lines of a crashed daemon, empty where they cannot be had. */
  async #readLog({ crashed }: Finding): Promise<string> {
    if (crashed === undefined) return '';
    const { client, namespace, logger } = this.#options;
    const at = { namespace, name: crashed.pod, container: containerName, tailLines: logLines };
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(5_000)]);
      const log = await client.podLog({ ...at, previous: crashed.previous }, signal);
      return log.trim() === '' ? '' : `; its last lines:\n${log.trimEnd()}`;
    } catch (failure) {
      logger.debug(`the log of ${crashed.pod} cannot be read: ${messageOf(failure)}`);
      return '';
    }
  }

  #timeoutError(last: Finding | undefined, deadline: number): KubernetesError {
    const { builder } = this.#options;
    const seconds = Math.round((deadline - this.#startedAt) / 1000);
    const running = this.pods.find(isRunning);
    if (running !== undefined && this.#lastAttempt !== undefined) {
      return new KubernetesError(
        'BUILDER_UNREACHABLE',
        `buildkitd in pod ${running.metadata.name} did not answer within ${seconds} s`,
        { cause: this.#lastAttempt, hint: 'Look at the log of the pod.' },
      );
    }
    const reason = last?.text ?? this.#state();
    return new KubernetesError(
      'BUILDER_TIMEOUT',
      `builder ${builder} did not start within ${seconds} s: ${reason}`,
      {
        cause: this.#pods.lastFailure,
        hint: last?.hint ?? this.#timeoutHint(),
      },
    );
  }

  /** Without pods it is for the workloads to say what is in the way, unless we may not see them. */
  #timeoutHint(): string {
    const blind = this.#unseen.has('deployments') && this.#unseen.has('replicasets');
    return blind && this.pods.length === 0
      ? 'Grant list and watch on deployments and replicasets, as docs/rbac/role.yaml does, to be told what keeps its pods from being made.'
      : 'Raise timeout= in driver-opts if the cluster needs longer.';
  }

  #state(): string {
    const [pod] = this.pods;
    if (pod === undefined) return 'the cluster has made no pod of it';
    const { name } = pod.metadata;
    const node = pod.spec?.nodeName;
    return node === undefined ? `pod ${name} has no node yet` : `pod ${name} starts on ${node}`;
  }
}
