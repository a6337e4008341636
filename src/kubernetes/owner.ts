/** The object that owns all others of a builder. */
import type { V1OwnerReference } from '@kubernetes/client-node';
import { type Ensured, ensure } from './ensure.ts';
import type { KubeClient, Observed } from './kube-client.ts';
import { isForbidden, isNotFound } from './kube-failure.ts';
import type { Job, KubeObject } from './kube-objects.ts';
import { beatAheadMs } from './lifetime.ts';
import type { BuilderSpec } from './builder-spec.ts';
import { belongsTo } from './manifests/labels.ts';
import { ownerConfigMap } from './manifests/owner-config-map.ts';
import { ownerJob } from './manifests/owner-job.ts';
import type { ProvisionOptions } from './provision.ts';

/**
 * The owner Job of a builder that an earlier step of this job made; undefined when there is none, or
 * none that lives on.
 */
export async function findOwner(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<Observed<Job> | undefined> {
  const { namespace, name } = spec;
  try {
    const job = await client.get('jobs', { namespace, name }, signal);
    const { labels, deletionTimestamp } = job.object.metadata;
    const isOurs = belongsTo(name, labels) && deletionTimestamp === undefined;
    return isOurs && isAlive(job.object) ? job : undefined;
  } catch (thrown) {
    if (isNotFound(thrown) || isForbidden(thrown)) return undefined;
    throw thrown;
  }
}

/** Whether a Job has not come to its end, after which it is deleted. */
export function isAlive(job: Job): boolean {
  return !(job.status?.conditions ?? []).some(({ status }) => status === 'True');
}

/** What owns the objects of a builder. */
interface Owner {
  readonly owner: V1OwnerReference | undefined;
  /** Of a builder that expires. */
  readonly job: Observed<Job> | undefined;
}

/**
 * Creates or finds what owns a builder: a Job that expires, or for pools a ConfigMap that does not.
 *
 * Without rights on Jobs it is the pod that we run in, if any.
 */
export async function ensureOwner(options: ProvisionOptions, signal: AbortSignal): Promise<Owner> {
  const { client, spec } = options;
  if (spec.isPool) {
    const manifest = ownerConfigMap(spec);
    const made = await ensure(
      { client, spec, resource: 'configmaps', manifest, isCurrent: () => true },
      signal,
    );
    const owner = referenceTo('v1', 'ConfigMap', made.object.object);
    return { owner, job: undefined };
  }
  const made = await ensureJob(options, signal);
  if (made === undefined) {
    return { owner: options.runnerPod, job: undefined };
  }
  const owner = referenceTo('batch/v1', 'Job', made.object.object);
  return { owner, job: made.object };
}

/** Undefined without the rights. */
async function ensureJob(
  options: ProvisionOptions,
  signal: AbortSignal,
): Promise<Ensured<Job> | undefined> {
  const { client, spec, may, maxLifetimeMs, runnerPod, notices } = options;
  if (['create', 'get'].some((verb) => may(verb, 'jobs') === false)) return undefined;
  // Without the right to prolong it, or the certainty to have it, the Job lives its whole life.
  const beats = may('patch', 'jobs') === true;
  const lifeMs = beats ? Math.min(beatAheadMs, maxLifetimeMs) : maxLifetimeMs;
  const activeDeadlineSeconds = Math.max(1, Math.floor(lifeMs / 1000));
  const manifest = ownerJob(spec, { activeDeadlineSeconds, owner: runnerPod });
  try {
    return await ensure({ client, spec, resource: 'jobs', manifest, isCurrent: isAlive }, signal);
  } catch (thrown) {
    if (!isForbidden(thrown)) throw thrown;
    notices.once(
      'No right to create jobs: a builder whose runner is lost does not expire by itself.',
    );
    return undefined;
  }
}

/** How an object names its owner. */
function referenceTo(apiVersion: string, kind: string, { metadata }: KubeObject): V1OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid };
}
