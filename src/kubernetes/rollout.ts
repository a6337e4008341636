import type { Logger } from '../shared/logger.ts';
import { type PodOrder, podOrder } from './choice/pod-order.ts';
import { usablePods } from './choice/usable-pods.ts';
import { hopelessError } from './crash-log.ts';
import { KubernetesError } from './errors.ts';
import { claimsOf, startEvents } from './event-findings.ts';
import type { Finding, Snapshot, Wanted } from './finding.ts';
import { findAll, hasStarted, isHopeless } from './findings.ts';
import type { KubeClient, ResourceName } from './kube-client.ts';
import type { KubeEvent, Pod, Workload } from './kube-objects.ts';
import { Mirror } from './mirror.ts';
import type { Notices } from './notices.ts';
import { Patience } from './patience.ts';
import { isRunning, isUnseen } from './pod-state.ts';
import { PullCounter } from './pull-counter.ts';
import { scaleUpOf } from './scale-up.ts';
import { Since } from './since.ts';
import { untilAnswer } from './until-answer.ts';

const defaultTellAfterMs = 1_500;

export interface RolloutOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly builder: string;
  /** Name of the object that makes the pods; by default what begins with the builder's name. */
  readonly workload?: string;
  /** What makes the pods; by default Deployments. */
  readonly kind?: 'deployments' | 'statefulsets';
  /** Label selector of its workload and pods. */
  readonly selector: string;
  readonly wanted: Wanted;
  readonly replicas: number;
  readonly affinityKey: string;
  /** Which pod is preferred; by default sticky by `affinityKey`. */
  readonly order?: PodOrder;
  /** Uids of pods that do not answer, although the cluster may take them for well. */
  readonly avoid?: readonly string[];
  readonly timeoutMs: number;
  readonly timeoutIsExplicit: boolean;
  /**
   * How long a reason must last before it is told; default 1.5 s.
   *
   * Much passes by itself, such as a volume that the node tries again to mount.
   */
  readonly tellAfterMs?: number;
  readonly notices: Notices;
  readonly logger: Logger;
}

/**
 * Follows a builder's workload, pods and events until one of its pods has started.
 *
 * Each new reason is told once, if it lasts; what ends the wait aborts `failed`, with the error as its reason.
 */
export class Rollout {
  readonly #options: RolloutOptions;
  readonly #stop = new AbortController();
  readonly #failed = new AbortController();
  readonly #pods: Mirror<'pods'>;
  /** The others, while or since there was something to explain. */
  #workloads: readonly Mirror<'deployments' | 'replicasets'>[] = [];
  #events: Mirror<'events'> | undefined;
  #stopRest: AbortController | undefined;
  readonly #pulls = new PullCounter();
  readonly #listeners = new Set<() => void>();
  readonly #runs: Promise<void>[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #unseen = new Set<ResourceName>();
  /** Set while the builder is waited for. */
  #patience: Patience | undefined;
  readonly #findingsSince = new Since();
  #lastAttempt: unknown;
  readonly #passedOver: Set<string>;

  constructor(options: RolloutOptions) {
    this.#options = options;
    this.#passedOver = new Set(options.avoid);
    this.#pods = this.#mirror('pods', { labelSelector: options.selector });
  }

  /** Aborts when the builder cannot come. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** The pods as last seen, without those to be avoided. */
  get pods(): readonly Pod[] {
    return [...this.#pods.objects.values()].filter(
      ({ metadata }) => !this.#passedOver.has(metadata.uid),
    );
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

  /** Begins to look at all else that says why there is no pod yet, unless it does so by now. */
  followTheRest(): void {
    if (this.#stopRest !== undefined) return;
    this.#stopRest = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#stopRest.signal]);
    const { selector: labelSelector, kind = 'deployments' } = this.#options;
    // A StatefulSet keeps no reason why it has no pods; it only tells it in events.
    const resources = kind === 'deployments' ? (['deployments', 'replicasets'] as const) : [];
    this.#workloads = resources.map((resource) => this.#mirror(resource, { labelSelector }));
    this.#events = this.#mirror('events', { onlyNew: true });
    for (const mirror of [...this.#workloads, this.#events]) this.#follow(mirror.run(signal));
  }

  /** Resolves once the pods that there are have been listed. */
  async podsListed(signal: AbortSignal): Promise<void> {
    await untilAnswer(() => (this.#pods.synced ? true : undefined), {
      onChange: (listener) => this.onChange(listener),
      signal: AbortSignal.any([signal, this.#failed.signal]),
    });
  }

  /** Starts the clock, also once more after a pod was lost: from now on the builder may fail. */
  await(): void {
    this.#patience = new Patience(this.#options, performance.now());
    this.#check();
  }

  /** The builder has answered: only its pods are followed from now on. */
  arrived(): void {
    this.#rest();
    this.#stopRest?.abort();
    this.#stopRest = undefined;
    this.#lastAttempt = undefined;
  }

  /** Why the last try to reach the daemon failed, for the message when time is up. */
  noteAttempt(failure: unknown): void {
    this.#lastAttempt = failure;
    this.followTheRest();
  }

  /** The pod to use, if its container has been started, as far as is known. */
  startedPod(): Pod | undefined {
    const { affinityKey } = this.#options;
    const { order = podOrder('sticky', { affinityKey, buildxKey: '' }) } = this.#options;
    const [pod] = order(this.candidates());
    return pod === undefined ? undefined : this.startedAs(pod.metadata.uid);
  }

  /**
   * The pods to choose from, started or not, without those that cannot come.
   *
   * Empty while pods are still to be made that could be preferred.
   */
  candidates(): Pod[] {
    const snapshot = this.#snapshot();
    const { replicas, wanted } = this.#options;
    const refused = findAll({ ...snapshot, pods: [], events: [] }, wanted).length > 0;
    const settled = refused || snapshot.pods.some(isRunning);
    const pods = usablePods(snapshot.pods);
    if (pods.length < replicas && !settled) return [];
    return pods.filter((pod) => !isHopeless(pod, snapshot, wanted));
  }

  /** A pod as last seen, if it can be used now, as far as is known. */
  startedAs(uid: string): Pod | undefined {
    return this.startedPods().find(({ metadata }) => metadata.uid === uid);
  }

  /** Has these pods avoided from now on. */
  passOver(pods: readonly Pod[]): void {
    for (const { metadata } of pods) this.#passedOver.add(metadata.uid);
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
    const { pods } = this;
    const workloads = this.#workloads.flatMap((mirror): Workload[] => [...mirror.objects.values()]);
    const events = [...(this.#events?.objects.values() ?? [])].filter((event) =>
      this.#isOurs(event, pods),
    );
    return { workloads, pods, events, failedPulls: this.#pulls.counts };
  }

  /** Events can be ahead of the objects that they are about, so the name has to do. */
  #isOurs({ involvedObject }: KubeEvent, pods: readonly Pod[]): boolean {
    const { builder, workload = builder } = this.#options;
    const { kind, name = '' } = involvedObject;
    if (kind === 'PersistentVolumeClaim') return pods.some((pod) => claimsOf(pod).includes(name));
    return name === workload || name.startsWith(`${workload}-`);
  }

  #check(): void {
    this.#pulls.look(this.pods);
    this.#judge();
    for (const listener of this.#listeners) listener();
  }

  #judge(): void {
    if (this.#patience === undefined) return;
    // Before the pods are listed there may be one that needs no further look.
    if (this.#pods.synced && this.startedPod() === undefined) this.followTheRest();
    const { wanted } = this.#options;
    const snapshot = this.#snapshot();
    const { pods } = snapshot;
    const findings = findAll(snapshot, wanted);
    const now = performance.now();
    const verdict = this.#patience.judge(findings, {
      now,
      scaleUp: scaleUpOf(startEvents(snapshot)),
      isServed: pods.some((pod) => isRunning(pod) && !isHopeless(pod, snapshot, wanted)),
    });
    if (verdict.kind === 'hopeless') {
      this.#rest();
      void hopelessError(verdict.finding, this.#options, this.#stop.signal).then((error) => {
        this.#failed.abort(error);
      });
    } else if (verdict.kind === 'late') {
      this.#rest();
      this.#failed.abort(this.#timeoutError(findings.at(-1), verdict.waitedMs));
    } else {
      const tellAgainAt = this.#tell(findings, now);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(
        () => {
          this.#check();
        },
        Math.min(verdict.lookAgainAt, tellAgainAt) - now,
      );
    }
  }

  /** Tells what has lasted; returns when there may be more to tell. */
  #tell(findings: readonly Finding[], now: number): number {
    const { notices, tellAfterMs = defaultTellAfterMs } = this.#options;
    const since = this.#findingsSince.look(
      findings.map(({ text }) => text),
      now,
    );
    const due = [...since].map(([text, start]) => ({ text, at: start + tellAfterMs }));
    for (const { text, at } of due) if (at <= now) notices.once(text);
    return Math.min(...due.map(({ at }) => at).filter((at) => at > now));
  }

  #rest(): void {
    this.#patience = undefined;
    clearTimeout(this.#timer);
  }

  #timeoutError(last: Finding | undefined, waitedMs: number): KubernetesError {
    const { builder } = this.#options;
    const seconds = Math.round(waitedMs / 1000);
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
      { cause: this.#pods.lastFailure, hint: last?.hint ?? this.#timeoutHint() },
    );
  }

  /** Without pods it is for the workloads to say what is in the way, unless we may not see them. */
  #timeoutHint(): string {
    const tellers: readonly ResourceName[] =
      this.#options.kind === 'statefulsets' ? ['events'] : ['deployments', 'replicasets'];
    const blind = tellers.every((resource) => this.#unseen.has(resource));
    if (this.pods.length > 0 && this.pods.every(isUnseen)) {
      return 'Check that this scheduler runs: schedulername in driver-opts or pod-template names it.';
    }
    return blind && this.pods.length === 0
      ? `Grant list and watch on ${tellers.join(' and ')}, as docs/rbac/provision.yaml does, to be told what keeps its pods from being made.`
      : 'Raise timeout= in driver-opts if the cluster needs longer.';
  }

  #state(): string {
    const [pod] = this.pods;
    if (pod === undefined) return 'the cluster has made no pod of it';
    const { name } = pod.metadata;
    const node = pod.spec?.nodeName;
    if (node !== undefined) return `pod ${name} starts on ${node}`;
    return isUnseen(pod)
      ? `scheduler ${pod.spec?.schedulerName ?? ''} has not looked at pod ${name}`
      : `pod ${name} has no node yet`;
  }
}
