import type { V1OwnerReference } from '@kubernetes/client-node';
import type { BuilderSpec } from './builder-spec.ts';
import { ensure, type Manifest } from './ensure.ts';
import { workloadResource } from './existing-builder.ts';
import type { KubeClient, Observed, ResourceName } from './kube-client.ts';
import { isConflict } from './kube-failure.ts';
import type { Job, KubeObject, Secret, Workload } from './kube-objects.ts';
import { configMap, secret, tlsSecret } from './manifests/configuration.ts';
import { disruptionBudget } from './manifests/disruption-budget.ts';
import { maxLifetimeAnnotation } from './manifests/labels.ts';
import { workload as workloadManifest } from './manifests/workload.ts';
import type { Notices } from './notices.ts';
import { ensureOwner } from './owner.ts';
import type { MayAccess } from './preflight.ts';

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
  /** What owns all else, if anything. */
  readonly owner: V1OwnerReference | undefined;
  /** The owner of a builder that expires; unset without rights on Jobs. */
  readonly job: Observed<Job> | undefined;
  /** Whether the deadline of the Job may be moved, as far as is known. */
  readonly mayProlong: boolean;
  /** What owns the builder where there is no Job, if anything. */
  readonly runnerPod: V1OwnerReference | undefined;
  /** The certificates that its pods mount: those of who made the Secret first. */
  readonly tls: Secret | undefined;
}

/**
 * Creates the objects of a builder, or finds them: "already exists" is success.
 *
 * First what owns the others, then those together. What is left of a builder of the same name that
 * is being deleted is waited for.
 */
export async function provision(
  options: ProvisionOptions,
  signal: AbortSignal,
): Promise<Provisioned> {
  const { client, spec, may } = options;
  const { owner, job } = await ensureOwner(options, signal);
  const isCurrent = (object: KubeObject): boolean =>
    owner === undefined ||
    (object.metadata.ownerReferences ?? []).some(({ uid }) => uid === owner.uid);
  const make = <R extends ResourceName>(resource: R, manifest: Manifest | undefined) =>
    manifest === undefined
      ? undefined
      : ensure({ client, spec, resource, manifest, isCurrent }, signal);
  const mayBudget = may('create', 'poddisruptionbudgets') !== false;
  const [workload, tls] = await Promise.all([
    make(workloadResource(spec), workloadOf(options, owner)),
    make('secrets', tlsSecret(spec, owner)),
    make('configmaps', configMap(spec, owner)),
    make('secrets', secret(spec, owner)),
    make('poddisruptionbudgets', mayBudget ? disruptionBudget(spec, owner) : undefined),
  ]);
  return {
    created: workload?.created ?? false,
    owner,
    job,
    mayProlong: may('patch', 'jobs') !== false,
    runnerPod: options.runnerPod,
    tls: tls?.object.object,
  };
}

interface AnnotatedManifest extends Manifest {
  metadata?: { name?: string; annotations?: Readonly<Record<string, string>> };
}

/** Manifest of the workload; one that nothing makes expire says how long it may live. */
function workloadOf(
  { spec, maxLifetimeMs }: ProvisionOptions,
  owner: V1OwnerReference | undefined,
): AnnotatedManifest {
  const manifest: AnnotatedManifest = workloadManifest(spec, owner);
  if (owner !== undefined || spec.isPool) return manifest;
  const seconds = String(Math.ceil(maxLifetimeMs / 1000));
  const { metadata = {} } = manifest;
  const annotations = { ...metadata.annotations, [maxLifetimeAnnotation]: seconds };
  return { ...manifest, metadata: { ...metadata, annotations } };
}

/** Puts what the daemon is configured with in place of what it was configured with before. */
export async function replaceConfiguration(
  client: KubeClient,
  { spec, owner }: { readonly spec: BuilderSpec; readonly owner: V1OwnerReference | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { namespace } = spec;
  const put = async (resource: 'configmaps' | 'secrets', manifest: Manifest | undefined) => {
    if (manifest === undefined) return;
    try {
      await client.create(resource, { namespace, manifest }, signal);
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
      await client.replace(resource, { namespace, manifest }, signal);
    }
  };
  await Promise.all([
    put('configmaps', configMap(spec, owner)),
    put('secrets', secret(spec, owner)),
  ]);
}

/** Scales a workload up that was scaled to zero. */
export async function wakeUp(
  client: KubeClient,
  at: {
    readonly namespace: string;
    readonly resource: 'deployments' | 'statefulsets';
    readonly workload: Workload;
    readonly replicas: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { namespace, resource, workload, replicas } = at;
  const patch = { spec: { replicas } };
  await client.patch(resource, { namespace, name: workload.metadata.name, patch }, signal);
}
