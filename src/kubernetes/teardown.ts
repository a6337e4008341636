import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { WorkloadResource } from './existing-builder.ts';
import type { KubeClient, ResourceName } from './kube-client.ts';
import { isConflict, isForbidden, isNotFound } from './kube-failure.ts';
import type { KubeObject } from './kube-objects.ts';
import { leaveToRemove, leaveToStop } from './last-job.ts';
import { createdMs } from './lifetime.ts';
import { belongsTo, builderSelector, creatorAnnotation } from './manifests/labels.ts';
import { tlsSecretName } from './names.ts';
import type { Provisioned } from './provision.ts';

const confirmTimeoutMs = 20_000;
const confirmPollMs = 150;

/** What becomes of a builder when the job no longer needs it. */
export type BuilderLife =
  /** It is of this job alone and is removed. */
  | 'job'
  /** It has a name that jobs share; the last one removes it. */
  | 'shared'
  /** The same, but the last one scales it to zero and keeps its state. */
  | 'kept'
  /** It stays. */
  | 'pool';

/** What the post step needs to clean up a builder; JSON, without secrets. */
export interface BuilderState {
  readonly namespace: string;
  readonly name: string;
  /** Name of the workload and its configuration. */
  readonly workload: string;
  readonly resource: WorkloadResource;
  readonly life: BuilderLife;
  /** Random; objects that do not carry it were made by another step. */
  readonly creator: string;
  readonly jobId: string;
}

/** What has become of the builder. */
export type Removal =
  /** It is gone, with its pods. */
  | 'removed'
  /** Deleted, but the cluster still works on it. */
  | 'removing'
  /** Scaled to zero. */
  | 'stopped'
  /** It stays, as it should. */
  | 'left'
  /** Other jobs use it; the last of them cleans up. */
  | 'held'
  /** There was nothing that this step made. */
  | 'nothing';

interface CleanUp {
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/**
 * Does with a builder what its life asks for when a job ends.
 *
 * Throws the first `KubernetesError` after everything was tried, or the reason of the signal.
 */
export async function cleanUpBuilder(
  client: KubeClient,
  state: BuilderState,
  options: CleanUp,
): Promise<Removal> {
  const { signal } = options;
  if (state.life === 'job') return removeBuilder(client, state, options);
  if (state.life === 'pool') return 'left';
  const leave = state.life === 'kept' ? leaveToStop : leaveToRemove;
  const departure = await leave(client, state, signal);
  const { outcome } = departure;
  if (outcome === 'removed') {
    return removeBuilder(client, state, { ...options, alsoGoes: departure.isOfIt });
  }
  // Where the others cannot be seen only its maker removes it.
  return outcome === 'unknown' ? removeBuilder(client, state, options) : outcome;
}

/**
 * Removes what a step created, and only that: found by name, proven by labels and creator, deleted
 * by uid.
 *
 * Deleting the owner Job would be enough; the others are deleted with it so that the garbage
 * collector's pace does not matter, and for builders without a Job. Then waits, at most 20 s, until
 * the pods are gone. Throws the first `KubernetesError` after everything was tried, or the reason of
 * the signal; not once all is deleted, when only the look at the pods may fail.
 */
export async function removeBuilder(
  client: KubeClient,
  state: Omit<BuilderState, 'life' | 'jobId'>,
  options: CleanUp & {
    /** What goes beside what the step created; the owner of it is gone by then. */
    readonly alsoGoes?: (object: KubeObject) => boolean;
    readonly waitsForPods?: boolean;
  },
): Promise<Removal> {
  const { signal, logger, alsoGoes, waitsForPods = true } = options;
  const { name } = state;
  const targets = targetsOf(state);
  const outcomes = await Promise.allSettled(
    targets.map(async ([resource, object]) => {
      const mayGo = (found: KubeObject): boolean => alsoGoes?.(found) ?? isOwn(state, found);
      const target = { resource, namespace: state.namespace, name: object, mayGo };
      const removed = await removeOne(client, target, signal);
      if (removed) logger.debug(`deleted ${resource} ${object}`);
      return removed;
    }),
  );
  const failure = firstFailure(targets, outcomes);
  if (failure !== undefined) throw failure as Error;
  const removedSome =
    alsoGoes !== undefined ||
    outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value);
  if (!removedSome) return 'nothing';
  if (!waitsForPods) return 'removing';
  const gone = await podsAreGone(client, state, signal).catch((thrown: unknown) => {
    logger.debug(`the pods of builder ${name} cannot be seen: ${messageOf(thrown)}`);
    return false;
  });
  return gone ? 'removed' : 'removing';
}

type Target = readonly [resource: ResourceName, name: string];

function targetsOf({ name, workload, resource }: Omit<BuilderState, 'life' | 'jobId'>): Target[] {
  return [
    ['jobs', name],
    [resource, workload],
    ['configmaps', workload],
    ['secrets', workload],
    ['secrets', tlsSecretName(workload)],
    ['poddisruptionbudgets', workload],
  ];
}

async function removeOne(
  client: KubeClient,
  target: {
    readonly resource: ResourceName;
    readonly namespace: string;
    readonly name: string;
    readonly mayGo: (object: KubeObject) => boolean;
  },
  signal: AbortSignal,
): Promise<boolean> {
  const { resource, namespace, name, mayGo } = target;
  try {
    const { object } = await client.get(resource, { namespace, name }, signal);
    if (!mayGo(object)) return false;
    await client.remove(resource, { namespace, name, uid: object.metadata.uid }, signal);
    return true;
  } catch (thrown) {
    // Gone already, or replaced by a namesake since it was read.
    if (isNotFound(thrown) || isConflict(thrown)) return false;
    throw thrown;
  }
}

function isOwn(state: Pick<BuilderState, 'name' | 'creator'>, { metadata }: KubeObject): boolean {
  const { labels, annotations } = metadata;
  return belongsTo(state.name, labels) && annotations?.[creatorAnnotation] === state.creator;
}

/**
 * Without rights on Secrets or ConfigMaps none were made, and without those on Jobs no Job was: only
 * a refused workload counts.
 */
function firstFailure(
  targets: readonly Target[],
  outcomes: readonly PromiseSettledResult<boolean>[],
): unknown {
  const failures = outcomes.flatMap((outcome, index) => {
    if (outcome.status === 'fulfilled') return [];
    const resource = targets[index]?.[0];
    const isWorkload = resource === 'deployments' || resource === 'statefulsets';
    const reason: unknown = outcome.reason;
    return !isWorkload && isForbidden(reason) ? [] : [reason];
  });
  return failures[0];
}

async function podsAreGone(
  client: KubeClient,
  { namespace, name }: Pick<BuilderState, 'namespace' | 'name'>,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + confirmTimeoutMs;
  const selection = { namespace, labelSelector: builderSelector(name) };
  const list = async (): Promise<string[]> =>
    (await client.list('pods', selection, signal)).items.map(({ metadata }) => metadata.uid);
  // Those that come later are of another builder, which has the name by then.
  let left = await list();
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(confirmPollMs, undefined, { signal });
    const there = new Set(await list());
    left = left.filter((uid) => there.has(uid));
  }
  return left.length === 0;
}

/** What has become of one node of a builder. */
export interface RemovedNode {
  readonly builder: BuilderState;
  readonly removal: Removal;
}

/** Lines for the log of the post step: one for each builder unless its nodes ended differently. */
export function describeRemovals(nodes: readonly RemovedNode[]): string[] {
  const lines = nodes
    // One that was gone went with the owner of the others.
    .filter(({ builder, removal }) => {
      const isOther = (other: RemovedNode): boolean =>
        other.builder.name === builder.name && other.removal !== 'nothing';
      return removal !== 'nothing' || !nodes.some(isOther);
    })
    .map(({ builder, removal }) => describeRemoval(builder, removal));
  return [...new Set(lines)];
}

/** One line for the log of the post step. */
function describeRemoval(state: BuilderState, removal: Removal): string {
  const where = `builder ${state.name} in namespace ${state.namespace}`;
  const lines: Readonly<Record<Removal, string>> = {
    removed: `Removed ${where}`,
    removing: `Deleted ${where}; the cluster is still stopping its pods`,
    stopped: `Scaled ${where} to zero; its state is kept`,
    left: `Left ${where} as it is`,
    held: `Left ${where} to the jobs that still use it`,
    nothing: `Left ${where} alone: this step did not create it, or it is gone`,
  };
  return lines[removal];
}

/** One clause on what becomes of a builder that nobody removes. */
export function describeExpiry(
  { job, runnerPod }: Pick<Provisioned, 'job' | 'runnerPod'>,
  {
    maxLifetimeMs,
    isPool,
    isShared,
  }: { readonly maxLifetimeMs: number; readonly isPool: boolean; readonly isShared: boolean },
): string {
  if (isPool) return 'it stays, as pools do';
  if (job !== undefined) {
    const sinceMs = isShared ? job.serverTimeMs : createdMs(job);
    const end = new Date(sinceMs + maxLifetimeMs).toISOString();
    return `it expires at ${end.replace(/\.\d+/, '')} at the latest`;
  }
  return runnerPod === undefined
    ? 'it does not expire by itself, for lack of rights on jobs'
    : 'it goes when the pod of this runner goes';
}

/** What to tell when removal failed; `expiry`: what `describeExpiry` gave, if main got that far. */
export function describeFailedRemoval(
  { name, namespace }: Pick<BuilderState, 'name' | 'namespace'>,
  expiry = 'main ended too early to tell whether it expires by itself',
): string {
  return `Could not remove builder ${name} in namespace ${namespace}; ${expiry}`;
}
