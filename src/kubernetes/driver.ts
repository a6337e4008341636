import { setTimeout as sleep } from 'node:timers/promises';
import type { BuilderOptions } from '../options/options.ts';
import type { Logger } from '../shared/logger.ts';
import { type Acquisition, adopt, hold, make, reuse } from './acquire.ts';
import { type BuilderSpec, builderSpec } from './builder-spec.ts';
import { secretOf } from './certificates-in-use.ts';
import { PodConnections } from './connection/pod-connections.ts';
import { decodeReachedWay } from './connection/reached-way.ts';
import { podOrder } from './choice/pod-order.ts';
import { type DaemonFile, loadDaemonFiles } from './daemon-files.ts';
import { EarlyDial } from './early-dial.ts';
import { KubernetesError } from './errors.ts';
import {
  type ExistingWorkload,
  findExisting,
  podSelector,
  workloadResource,
} from './existing-builder.ts';
import type { KubeClient } from './kube-client.ts';
import { type Builder, KubernetesBuilder, reachedPodOf } from './kubernetes-builder.ts';
import { Lifetime } from './lifetime.ts';
import { selectorLabels, selectorText } from './manifests/labels.ts';
import { platformText } from './names.ts';
import { Notices } from './notices.ts';
import type { Provisioned } from './provision.ts';
import { type PodPicker, ClaimingPicker, FavouritePicker } from './pod-picker.ts';
import { Rollout } from './rollout.ts';
import { type BuilderLife, type BuilderState, describeExpiry } from './teardown.ts';

export type { Builder } from './kubernetes-builder.ts';
export type { BuilderState } from './teardown.ts';

/** Who asks for the builder; ends up in its labels and annotations. Empty texts are left out. */
export interface JobIdentity {
  /** Random, shared by all steps of one job and by no other job. */
  readonly jobId: string;
  /** Whether an earlier step of the job may have made the builder. */
  readonly isLaterStep: boolean;
  /** `reachedPod` of the builder that an earlier step used last. */
  readonly lastPod: string | undefined;
  /** Random, the same in all attempts of one step; default: made anew. */
  readonly creator?: string;
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
  /** Of a job's own builder with several nodes; unset: made from the job and the options. */
  readonly sharedName?: string | undefined;
  readonly job: JobIdentity;
  /** What sticky choice among pods hashes. */
  readonly affinityKey: string;
  /** What buildx would hash for this build. */
  readonly buildxKey: string;
  /** Uids of pods that did not answer any more. */
  readonly avoid?: readonly string[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called before anything is created; creation waits for it. */
  readonly onNamed: (state: BuilderState) => Promise<void> | void;
}

/** How long a builder that is removed takes at least. */
const goneMs = 200;

/** Provisions or finds a builder; returns once its objects exist. */
export async function bootstrap(options: BootstrapOptions): Promise<Builder> {
  for (;;) {
    const builder = await tryToBootstrap(options);
    if (builder !== undefined) return builder;
    options.logger.info('The last job that used the builder removes it: another one is made');
    await sleep(goneMs, undefined, { signal: options.signal });
  }
}

/** Undefined when the builder that was found is about to go. */
async function tryToBootstrap(options: BootstrapOptions): Promise<Builder | undefined> {
  const { client, builder, logger, signal } = options;
  const files = await loadDaemonFiles(builder, process.cwd());
  const spec = specify(options, files);
  const existing = spec.isShared ? await findExisting(client, spec, signal) : undefined;
  if (existing === undefined && builder.mustExist) throw missing(spec);
  const state = stateOf(options, { spec, existing });
  await options.onNamed(state);
  const notices = new Notices(logger);
  const rollout = new Rollout({ ...rolloutOptions(options, { spec, existing }), notices });
  const { namespace, name } = spec;
  const kind = builder.connection;
  const connections = new PodConnections({ client, namespace, builder: name, kind, logger });
  const early = dialEarly(connections, { spec, lastPod: options.job.lastPod });
  rollout.followPods();
  // At the same time as the pods, since no pod is reached without.
  const certificates = existing === undefined ? spec.tlsSecret : secretOf(existing.workload.object);
  const isThere = existing !== undefined || options.job.isLaterStep;
  if (isThere && certificates !== undefined) connections.readAhead(certificates);
  const stop = async (): Promise<void> => {
    early?.[Symbol.dispose]();
    connections[Symbol.dispose]();
    await rollout[Symbol.asyncDispose]();
  };
  try {
    const acquisition = {
      ...{ client, builder, spec, files, rollout, connections, notices, logger, signal },
    };
    const found = await acquire(acquisition, { existing, isLaterStep: options.job.isLaterStep });
    const isHeld = state.life === 'shared' || state.life === 'kept';
    const acquired = isHeld ? await hold(acquisition, state, found) : found;
    if (acquired === undefined) {
      await stop();
      return undefined;
    }
    logger.info(describe(spec, { ...acquired, existing }));
    const { created } = acquired;
    const { maxLifetimeMs } = builder;
    const { isPool, isShared } = spec;
    const expiry = describeExpiry(acquired, { maxLifetimeMs, isPool, isShared });
    const picker = await pickerFor(options, { spec, existing, rollout, notices });
    const lifetime = lifetimeOf(options, { spec, acquired });
    lifetime?.start(created || lifetime.isSettled ? 'in time' : 'at once');
    return new KubernetesBuilder({
      ...{ client, state, created, expiry, rollout, lifetime, logger, early, connections, picker },
    });
  } catch (failure) {
    await stop();
    throw failure;
  }
}

/** Only of what jobs share are pods claimed: the code for it is loaded then. */
async function pickerFor(
  { client, builder, job, affinityKey, buildxKey, logger }: BootstrapOptions,
  found: Found & { readonly rollout: Rollout; readonly notices: Notices },
): Promise<PodPicker> {
  const { spec, existing, rollout, notices } = found;
  if (!spec.isShared) return new FavouritePicker(rollout);
  const { PodClaims } = await import('./leases/pod-claims.ts');
  const { repository, runId, runUrl, jobId } = job;
  const claims = PodClaims.open({
    client,
    namespace: spec.namespace,
    builder: spec.name,
    workload: existing?.workload.object.metadata.name ?? spec.workload,
    strategy: builder.driver.loadBalance,
    keys: { affinityKey, buildxKey },
    maxBuildsPerPod: builder.maxBuildsPerPod,
    queueTimeoutMs: builder.queueTimeoutMs,
    holder: { repository, runId, runUrl, jobId },
    logger,
    notices,
  });
  return new ClaimingPicker(rollout, claims);
}

interface Found {
  readonly spec: BuilderSpec;
  readonly existing: ExistingWorkload | undefined;
}

async function acquire(
  acquisition: Acquisition,
  how: Pick<Found, 'existing'> & { readonly isLaterStep: boolean },
): Promise<Provisioned> {
  if (how.existing !== undefined) return reuse(acquisition, how.existing);
  const adopted = how.isLaterStep ? await adopt(acquisition) : undefined;
  return adopted ?? make(acquisition);
}

function specify(
  { builder, sharedName, job, client }: BootstrapOptions,
  files: readonly DaemonFile[],
): BuilderSpec {
  const { mode } = builder.driver;
  return builderSpec({
    builder,
    sharedName,
    files,
    job,
    namespace: client.namespace,
    // What `auto` comes to is known once the cluster was asked.
    mode: mode === 'auto' ? 'privileged' : mode,
  });
}

function stateOf({ builder, job }: BootstrapOptions, { spec, existing }: Found): BuilderState {
  const { namespace, name, workload, identity } = spec;
  return {
    namespace,
    name,
    workload: existing?.workload.object.metadata.name ?? workload,
    resource: existing?.resource ?? workloadResource(spec),
    life: lifeOf(builder, existing),
    creator: identity.creator,
    jobId: job.jobId,
  };
}

/** What is made by buildx, or only used by the name of a step that made it, is left as it is. */
function lifeOf(builder: BuilderOptions, existing: ExistingWorkload | undefined): BuilderLife {
  if (builder.name === undefined) return 'job';
  if (existing?.madeBy === 'buildx' || builder.mustExist || !builder.cleanup) return 'pool';
  return builder.keepState ? 'kept' : 'shared';
}

function lifetimeOf(
  { client, builder, logger }: BootstrapOptions,
  { spec, acquired }: { readonly spec: BuilderSpec; readonly acquired: Provisioned },
): Lifetime | undefined {
  const { job, mayProlong } = acquired;
  if (job === undefined || !mayProlong) return undefined;
  const { namespace, isShared } = spec;
  // How long it lives is up to who makes it, not to who names it.
  const maxLifetimeMs = builder.mustExist ? undefined : builder.maxLifetimeMs;
  return new Lifetime({ client, namespace, job, maxLifetimeMs, isShared, logger });
}

/** Opens a stream to the pod that the last step used, if that was one of this builder. */
function dialEarly(
  connections: PodConnections,
  { spec, lastPod }: { readonly spec: BuilderSpec; readonly lastPod: string | undefined },
): EarlyDial | undefined {
  const prefix = reachedPodOf(spec, '');
  if (lastPod?.startsWith(prefix) !== true) return undefined;
  const reached = decodeReachedWay(lastPod.slice(prefix.length));
  const dial = connections.earlyDialer(reached);
  return dial === undefined ? undefined : new EarlyDial(reached.pod, dial);
}

function rolloutOptions(options: BootstrapOptions, { spec, existing }: Found) {
  const { driver } = options.builder;
  const { platform } = spec;
  const replicas = existing?.workload.object.spec?.replicas ?? 0;
  return {
    client: options.client,
    namespace: spec.namespace,
    builder: spec.name,
    workload: existing?.workload.object.metadata.name ?? spec.workload,
    kind: existing?.resource ?? workloadResource(spec),
    selector: existing === undefined ? selectorText(selectorLabels(spec)) : podSelector(existing),
    replicas: replicas > 0 ? replicas : driver.replicas,
    wanted: {
      image: spec.image,
      platform: platform === undefined ? undefined : platformText(platform),
      nodeSelector: driver.nodeSelector,
      limits: driver.limits,
    },
    order: podOrder(driver.loadBalance, options),
    affinityKey: options.affinityKey,
    avoid: options.avoid ?? [],
    timeoutMs: driver.timeoutMs,
    timeoutIsExplicit: driver.timeoutIsExplicit,
    logger: options.logger,
  };
}

function describe(
  { name, namespace }: BuilderSpec,
  { created, existing }: Pick<Provisioned, 'created'> & Pick<Found, 'existing'>,
): string {
  if (created) return `Created builder ${name} in namespace ${namespace}`;
  const maker = existing?.madeBy === 'buildx' ? ', made by buildx: it is used as it is' : '';
  return `Found builder ${name} in namespace ${namespace}${maker}`;
}

function missing({ name, namespace, platform }: BuilderSpec): KubernetesError {
  const node = platform === undefined ? '' : ` with a node for ${platformText(platform)}`;
  return new KubernetesError(
    'BUILDER_MISSING',
    `there is no builder "${name}"${node} in namespace "${namespace}"`,
    {
      hint: 'Correct `builder` or the namespace in driver-opts, or use `name`, which creates what is missing.',
    },
  );
}
