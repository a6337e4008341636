import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { KubernetesError } from './errors.ts';
import type { KubeClient, ResourceName } from './kube-client.ts';
import { isNotFound } from './kube-failure.ts';
import type { KubeObject } from './kube-objects.ts';
import { createdMs } from './lifetime.ts';
import { belongsTo, builderSelector, creatorAnnotation } from './manifests/labels.ts';
import type { Provisioned } from './provision.ts';

const confirmTimeoutMs = 20_000;
const confirmPollMs = 150;

/** What the post step needs to remove a builder; JSON, without secrets. */
export interface BuilderState {
  readonly namespace: string;
  readonly name: string;
  /** Name of Deployment, ConfigMap and Secret. */
  readonly workload: string;
  /** Random; objects that do not carry it were made by another step and are left alone. */
  readonly creator: string;
}

/** What has become of the builder. */
export type Removal =
  /** It is gone, with its pods. */
  | 'removed'
  /** Deleted, but the cluster still works on it. */
  | 'removing'
  /** There was nothing that this step made. */
  | 'nothing';

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
  state: BuilderState,
  options: { readonly signal: AbortSignal; readonly logger: Logger },
): Promise<Removal> {
  const { signal, logger } = options;
  const { name, workload } = state;
  const targets: readonly (readonly [ResourceName, string])[] = [
    ['jobs', name],
    ['deployments', workload],
    ['configmaps', workload],
    ['secrets', workload],
  ];
  const outcomes = await Promise.allSettled(
    targets.map(async ([resource, object]) => {
      const removed = await removeOne(client, state, { resource, name: object, signal });
      if (removed) logger.debug(`deleted ${resource} ${object}`);
      return removed;
    }),
  );
  const failure = firstFailure(targets, outcomes);
  if (failure !== undefined) throw failure as Error;
  const removedSome = outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value);
  if (!removedSome) return 'nothing';
  const gone = await podsAreGone(client, state, signal).catch((thrown: unknown) => {
    logger.debug(`the pods of builder ${name} cannot be seen: ${messageOf(thrown)}`);
    return false;
  });
  return gone ? 'removed' : 'removing';
}

async function removeOne(
  client: KubeClient,
  state: BuilderState,
  target: {
    readonly resource: ResourceName;
    readonly name: string;
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  const { resource, name, signal } = target;
  const { namespace } = state;
  try {
    const { object } = await client.get(resource, { namespace, name }, signal);
    if (!isOwn(state, object)) return false;
    await client.remove(resource, { namespace, name, uid: object.metadata.uid }, signal);
    return true;
  } catch (thrown) {
    // Gone already, or replaced by a namesake since it was read.
    const gone = thrown instanceof KubernetesError && thrown.httpStatus === 409;
    if (isNotFound(thrown) || gone) return false;
    throw thrown;
  }
}

function isOwn(state: BuilderState, object: KubeObject): boolean {
  const { labels, annotations } = object.metadata;
  return belongsTo(state.name, labels) && annotations?.[creatorAnnotation] === state.creator;
}

/**
 * Without rights on Secrets or ConfigMaps none were made, and without those on Jobs no Job was: only
 * a refused Deployment counts.
 */
function firstFailure(
  targets: readonly (readonly [ResourceName, string])[],
  outcomes: readonly PromiseSettledResult<boolean>[],
): unknown {
  const failures = outcomes.flatMap((outcome, index) => {
    if (outcome.status === 'fulfilled') return [];
    const optional = targets[index]?.[0] !== 'deployments';
    const reason: unknown = outcome.reason;
    const forbidden = reason instanceof KubernetesError && reason.code === 'KUBE_FORBIDDEN';
    return optional && forbidden ? [] : [reason];
  });
  return failures[0];
}

async function podsAreGone(
  client: KubeClient,
  { namespace, name }: BuilderState,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + confirmTimeoutMs;
  const selection = { namespace, labelSelector: builderSelector(name) };
  while (performance.now() < deadline) {
    const { items } = await client.list('pods', selection, signal);
    if (items.length === 0) return true;
    await sleep(confirmPollMs, undefined, { signal });
  }
  return false;
}

/** One line for the log of the post step. */
export function describeRemoval(state: BuilderState, removal: Removal): string {
  const where = `builder ${state.name} in namespace ${state.namespace}`;
  if (removal === 'removed') return `Removed ${where}`;
  if (removal === 'removing') return `Deleted ${where}; the cluster is still stopping its pods`;
  return `Left ${where} alone: this step did not create it, or it is gone`;
}

/** One clause on what becomes of a builder that nobody removes. */
export function describeExpiry(
  { job, runnerPod }: Pick<Provisioned, 'job' | 'runnerPod'>,
  maxLifetimeMs: number,
): string {
  if (job !== undefined) {
    const end = new Date(createdMs(job) + maxLifetimeMs).toISOString();
    return `it expires at ${end.replace(/\.\d+/, '')} at the latest`;
  }
  return runnerPod === undefined
    ? 'it does not expire by itself, for lack of rights on jobs'
    : 'it goes when the pod of this runner goes';
}

/** What to tell when removal failed; `expiry`: what `describeExpiry` gave, if main got that far. */
export function describeFailedRemoval(
  { name, namespace }: BuilderState,
  expiry = 'main ended too early to tell whether it expires by itself',
): string {
  return `Could not remove builder ${name} in namespace ${namespace}; ${expiry}`;
}
