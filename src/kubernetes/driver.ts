import { hostname } from 'node:os';
import type { BuilderOptions } from '../options/options.ts';
import type { Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { type BuilderSpec, builderSpec } from './builder-spec.ts';
import { connectWhenStarted, dialerOf } from './connect.ts';
import { type DaemonFile, loadDaemonFiles } from './daemon-files.ts';
import { EarlyDial } from './early-dial.ts';
import { KubernetesError } from './errors.ts';
import type { KubeClient } from './kube-client.ts';
import { serviceAccountFolder } from './kube-config.ts';
import { Lifetime } from './lifetime.ts';
import { connectedPod, type ConnectedPod, explainLoss, type Explanation, lossOf } from './loss.ts';
import { builderSelector } from './manifests/labels.ts';
import { platformText } from './names.ts';
import { Notices } from './notices.ts';
import { checkAccess } from './preflight.ts';
import { findOwner } from './owner.ts';
import { provision, type Provisioned } from './provision.ts';
import { findRunnerPod } from './runner-pod.ts';
import { Rollout } from './rollout.ts';
import { type BuilderState, describeExpiry } from './teardown.ts';
import { untilAnswer } from './until-answer.ts';

export type { BuilderState } from './teardown.ts';

/** The node reports the end of a container up to a second late, and the server a little later. */
const explainWaitMs = 3_000;

/** Who asks for the builder; ends up in its labels and annotations. Empty texts are left out. */
export interface JobIdentity {
  /** Random, shared by all steps of one job and by no other job. */
  readonly jobId: string;
  /** Whether an earlier step of the job may have made the builder. */
  readonly isLaterStep: boolean;
  /** `reachedPod` of the builder that an earlier step used last. */
  readonly lastPod: string | undefined;
  /** `owner/name`. */
  readonly repository: string;
  readonly sha: string;
  readonly runId: string;
  readonly runUrl: string;
  readonly runAttempt: string;
  /** Of this action. */
  readonly version: string;
}

export interface BootstrapOptions {
  readonly client: KubeClient;
  readonly builder: BuilderOptions;
  readonly job: JobIdentity;
  /** What sticky choice among pods hashes. */
  readonly affinityKey: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called before anything is created; creation waits for it. */
  readonly onNamed: (state: BuilderState) => Promise<void> | void;
}

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

/** Provisions or finds the builder of this job; returns once its objects exist. */
export async function bootstrap(options: BootstrapOptions): Promise<Builder> {
  const { client, builder, logger } = options;
  const files = await loadDaemonFiles(builder, process.cwd());
  const spec = specify(options, files);
  const { namespace, name, workload, identity } = spec;
  const state = { namespace, name, workload, creator: identity.creator };
  await options.onNamed(state);
  const notices = new Notices(logger);
  const rollout = new Rollout({ ...rolloutOptions(options, spec), notices });
  const early = dialEarly(options, spec);
  rollout.followPods();
  try {
    const { maxLifetimeMs } = builder;
    const provisioned =
      (await adopt(options, { spec, rollout })) ??
      (await make(options, { spec, files, rollout, notices }));
    const { created, job, mayProlong } = provisioned;
    const expiry = describeExpiry(provisioned, maxLifetimeMs);
    logger.info(`${created ? 'Created' : 'Found'} builder ${name} in namespace ${namespace}`);
    const lifetime =
      job === undefined || !mayProlong
        ? undefined
        : new Lifetime({ client, namespace, job, maxLifetimeMs, isShared: spec.isShared, logger });
    lifetime?.start(created || lifetime.isSettled ? undefined : 0);
    const parts = { client, state, created, expiry, rollout, lifetime, logger, early };
    return new KubernetesBuilder(parts);
  } catch (failure) {
    early?.[Symbol.dispose]();
    await rollout[Symbol.asyncDispose]();
    throw failure;
  }
}

interface Making {
  readonly spec: BuilderSpec;
  readonly rollout: Rollout;
}

/** Opens a stream to the pod that the last step used, if that was one of this builder. */
function dialEarly(
  { client, job, logger }: BootstrapOptions,
  { namespace, name }: BuilderSpec,
): EarlyDial | undefined {
  const prefix = reachedPodOf({ namespace, name }, '');
  const { lastPod } = job;
  if (lastPod?.startsWith(prefix) !== true) return undefined;
  const pod = lastPod.slice(prefix.length);
  return new EarlyDial(pod, dialerOf({ client, namespace, logger }, pod));
}

function reachedPodOf(
  { namespace, name }: Pick<BuilderState, 'namespace' | 'name'>,
  pod: string,
): string {
  return `${namespace}/${name}/${pod}`;
}

/** Takes the builder of an earlier step of this job, if it runs: without any further question. */
async function adopt(
  { client, job, signal }: BootstrapOptions,
  { spec, rollout }: Making,
): Promise<Provisioned | undefined> {
  if (!job.isLaterStep) return undefined;
  const owner = await findOwner(client, spec, signal);
  if (owner === undefined) return undefined;
  await rollout.podsListed(signal);
  return rollout.startedPod() === undefined
    ? undefined
    : { created: false, job: owner, mayProlong: true, runnerPod: undefined };
}

/** Creates what is missing of the builder, once it is known that nothing stands against it. */
async function make(
  { client, builder, signal }: BootstrapOptions,
  { spec, rollout, files, notices }: Making & { files: readonly DaemonFile[]; notices: Notices },
): Promise<Provisioned> {
  const { namespace } = spec;
  const [may, runnerPod] = await Promise.all([
    checkAccess(client, { namespace, notices, ...kindsOf(files) }, signal),
    findRunnerPod(
      client,
      { namespace, serviceAccountFolder, hostname: hostname(), env: process.env },
      signal,
    ),
  ]);
  rollout.followTheRest();
  const { maxLifetimeMs } = builder;
  return provision({ client, spec, maxLifetimeMs, may, notices, runnerPod }, signal);
}

function specify(options: BootstrapOptions, files: readonly DaemonFile[]): BuilderSpec {
  const { builder, job, client } = options;
  const { mode } = builder.driver;
  if (mode === 'auto') throw new Error('mode auto is not resolved yet');
  return builderSpec({ builder, files, job, namespace: client.namespace, mode });
}

function rolloutOptions(options: BootstrapOptions, spec: BuilderSpec) {
  const { driver } = options.builder;
  const { platform } = spec;
  return {
    client: options.client,
    namespace: spec.namespace,
    builder: spec.name,
    selector: builderSelector(spec.name),
    replicas: driver.replicas,
    wanted: {
      image: spec.image,
      platform: platform === undefined ? undefined : platformText(platform),
      limits: driver.limits,
    },
    affinityKey: options.affinityKey,
    timeoutMs: driver.timeoutMs,
    timeoutIsExplicit: driver.timeoutIsExplicit,
    logger: options.logger,
  };
}

function kindsOf(files: readonly DaemonFile[]): { usesConfigMap: boolean; usesSecret: boolean } {
  return { usesConfigMap: files.length > 0, usesSecret: files.some(({ secret }) => secret) };
}

class KubernetesBuilder implements Builder {
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
