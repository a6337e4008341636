import type { V1OwnerReference } from '@kubernetes/client-node';
import { ensure, type Manifest } from './ensure.ts';
import type { KubeClient, Observed, ResourceName } from './kube-client.ts';
import type { Job, KubeObject } from './kube-objects.ts';
import type { BuilderSpec } from './builder-spec.ts';
import { configMap, secret } from './manifests/configuration.ts';
import { deployment } from './manifests/deployment.ts';
import type { Notices } from './notices.ts';
import { ensureJob, referenceTo } from './owner.ts';
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
