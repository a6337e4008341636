import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1OwnerReference } from '@kubernetes/client-node';
import { KubernetesError } from './errors.ts';
import type { KubeClient, Observed, ResourceName, ResourceTypes } from './kube-client.ts';
import { isConflict, isForbidden, isNotFound } from './kube-failure.ts';
import type { Job, KubeObject } from './kube-objects.ts';
import { beatAheadMs } from './lifetime.ts';
import {
  belongsTo,
  type BuilderSpec,
  configMap,
  creatorAnnotation,
  deployment,
  ownerJob,
  secret,
} from './manifest.ts';
import type { Notices } from './notices.ts';
import type { MayAccess } from './preflight.ts';

/** How long a namesake that is being deleted may take to go. */
const namesakeTimeoutMs = 60_000;
const namesakePollMs = 200;

export interface ProvisionOptions {
  readonly client: KubeClient;
  readonly spec: BuilderSpec;
  readonly maxLifetimeMs: number;
  readonly may: MayAccess;
  readonly notices: Notices;
  /** The pod we run in, if it is in the builder's namespace. */
  readonly runnerPod: V1OwnerReference | undefined;
}

export interface Provisioned {
  /** Whether it was this call that created the builder. */
  readonly created: boolean;
  /** What owns all else; unset without rights on Jobs. */
  readonly job: Observed<Job> | undefined;
  /** Whether the deadline of the Job may be moved, as far as is known. */
  readonly mayProlong: boolean;
  /** What owns the builder where there is no Job, if anything. */
  readonly runnerPod: V1OwnerReference | undefined;
}

/**
 * Creates the objects of a builder, or finds them: "already exists" is success.
 *
 * First the Job that owns the others, then those together. What is left of a builder of the same
 * name that is being deleted is waited for.
 */
export async function provision(
  options: ProvisionOptions,
  signal: AbortSignal,
): Promise<Provisioned> {
  const { client, spec } = options;
  const job = await ensureJob(options, signal);
  const owner = job === undefined ? options.runnerPod : referenceTo(job.object.object);
  const isCurrent = (object: KubeObject): boolean =>
    owner === undefined ||
    (object.metadata.ownerReferences ?? []).some(({ uid }) => uid === owner.uid);
  const make = <R extends ResourceName>(resource: R, manifest: Manifest | undefined) =>
    manifest === undefined
      ? undefined
      : ensure({ client, spec, resource, manifest, isCurrent }, signal);
  const [workload] = await Promise.all([
    make('deployments', deployment(spec, owner)),
    make('configmaps', configMap(spec, owner)),
    make('secrets', secret(spec, owner)),
  ]);
  const created = (job ?? workload)?.created ?? false;
  const mayProlong = options.may('patch', 'jobs') !== false;
  return { created, job: job?.object, mayProlong, runnerPod: options.runnerPod };
}

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
function isAlive(job: Job): boolean {
  return !(job.status?.conditions ?? []).some(({ status }) => status === 'True');
}

/**
 * The pod that this process runs in, as owner.
 *
 * Undefined where the builder goes into another namespace or another cluster, which may have a
 * namespace of that name too, and where the pod cannot be read.
 */
export async function findRunnerPod(
  client: KubeClient,
  where: {
    readonly namespace: string;
    readonly serviceAccountFolder: string;
    readonly hostname: string;
    readonly env: Readonly<Record<string, string | undefined>>;
  },
  signal: AbortSignal,
): Promise<V1OwnerReference | undefined> {
  if (where.hostname === '' || !isOwnCluster(client.server, where.env)) return undefined;
  const file = path.join(where.serviceAccountFolder, 'namespace');
  const namespace = await readFile(file, 'utf8').catch(() => '');
  if (namespace.trim() !== where.namespace) return undefined;
  const at = { namespace: where.namespace, name: where.hostname };
  try {
    const { object } = await client.get('pods', at, signal);
    return { apiVersion: 'v1', kind: 'Pod', name: object.metadata.name, uid: object.metadata.uid };
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof KubernetesError) return undefined;
    throw thrown;
  }
}

/** Whether a server is that of the cluster whose pod we run in. */
function isOwnCluster(
  server: URL,
  { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }: NodeJS.ProcessEnv,
): boolean {
  if (host === undefined || port === undefined) return false;
  if (/^kubernetes\.default(\.svc(\.cluster\.local)?)?$/.test(server.hostname)) return true;
  return server.host === URL.parse(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)?.host;
}

interface Manifest {
  metadata?: { name?: string };
}

interface Ensured<T> {
  readonly object: Observed<T>;
  readonly created: boolean;
}

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

async function ensure<R extends ResourceName>(
  input: {
    readonly client: KubeClient;
    readonly spec: BuilderSpec;
    readonly resource: R;
    readonly manifest: Manifest;
    /** Whether an existing object is alive, rather than about to be collected. */
    readonly isCurrent: (object: ResourceTypes[R]) => boolean;
  },
  signal: AbortSignal,
): Promise<Ensured<ResourceTypes[R]>> {
  const { client, spec, resource, manifest } = input;
  const { namespace } = spec;
  const name = manifest.metadata?.name ?? spec.workload;
  const deadline = performance.now() + namesakeTimeoutMs;
  for (;;) {
    const existing = await createOrGet({ client, resource, namespace, name, manifest }, signal);
    if (existing?.created === true) return existing;
    if (existing !== undefined) {
      const { metadata } = existing.object.object;
      checkOurs(spec, resource, existing.object.object);
      if (metadata.deletionTimestamp === undefined && input.isCurrent(existing.object.object)) {
        // A create whose answer was lost is sent again and meets its own object.
        return { ...existing, created: isCreator(spec, existing.object.object) };
      }
    }
    if (performance.now() > deadline) throw namesakeStays(resource, name, namespace);
    await sleep(namesakePollMs, undefined, { signal });
  }
}

/** Undefined when the object was there, and was gone before it could be read. */
async function createOrGet<R extends ResourceName>(
  input: {
    readonly client: KubeClient;
    readonly resource: R;
    readonly namespace: string;
    readonly name: string;
    readonly manifest: Manifest;
  },
  signal: AbortSignal,
): Promise<Ensured<ResourceTypes[R]> | undefined> {
  const { client, resource, namespace, name, manifest } = input;
  try {
    return {
      object: await client.create(resource, { namespace, manifest }, signal),
      created: true,
    };
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
  }
  try {
    return { object: await client.get(resource, { namespace, name }, signal), created: false };
  } catch (thrown) {
    if (isNotFound(thrown)) return undefined;
    throw thrown;
  }
}

/** Whether this very step made the object. */
export function isCreator(
  spec: { readonly identity: { readonly creator: string } },
  object: KubeObject,
): boolean {
  return object.metadata.annotations?.[creatorAnnotation] === spec.identity.creator;
}

function checkOurs(spec: BuilderSpec, resource: ResourceName, object: KubeObject): void {
  if (belongsTo(spec.name, object.metadata.labels)) return;
  throw new KubernetesError(
    'BUILDER_REFUSED',
    `${resource} "${object.metadata.name}" in namespace "${spec.namespace}" exists and is not ours`,
    { hint: 'Remove it, or use another namespace.' },
  );
}

function namesakeStays(resource: ResourceName, name: string, namespace: string): KubernetesError {
  return new KubernetesError(
    'BUILDER_TIMEOUT',
    `${resource} "${name}" in namespace "${namespace}" is being deleted and does not go`,
    { hint: 'Look at its finalizers, and whether the controller manager of the cluster runs.' },
  );
}

function referenceTo(job: Job): V1OwnerReference {
  const { name, uid } = job.metadata;
  return { apiVersion: 'batch/v1', kind: 'Job', name, uid };
}
