/** How the live workload of a shared builder differs from the one that is asked for. */
import { messageOf } from '../shared/errors.ts';
import type { Acquisition } from './acquire.ts';
import { endsSoon, withLiveCertificates } from './certificates-in-use.ts';
import { type ExistingWorkload, workloadResource } from './existing-builder.ts';
import { otherUsers } from './job-hold.ts';
import type { KubeClient } from './kube-client.ts';
import { isConflict } from './kube-failure.ts';
import type { KubeTree, Workload } from './kube-objects.ts';
import { containerName, specHashAnnotation } from './manifests/labels.ts';
import { workload as workloadManifest } from './manifests/workload.ts';
import { inSettledMode } from './preflight/pods.ts';
import { replaceConfiguration } from './provision.ts';

/** A workload that is asked for. */
export interface WantedWorkload {
  readonly metadata?: {
    readonly name?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: object & { readonly replicas?: number };
}

export interface Drift {
  /** Such as `template.spec.containers[buildkitd].image: a:1 → a:2`. */
  readonly changes: readonly string[];
  /** Whether applying it can end a pod: anything but more replicas does. */
  readonly disturbs: boolean;
  /** What to put in place of the live workload, of which it has the version. */
  readonly manifest: { readonly metadata: { readonly name: string } };
}

/**
 * Compares a live workload with the one asked for; undefined when they are the same.
 *
 * Where their hashes differ, the server is asked by a dry run what it would make of the wanted one,
 * since it fills in defaults. Throws the server's refusal, such as of a change that it never allows.
 */
export async function findDrift(
  client: KubeClient,
  input: {
    readonly namespace: string;
    readonly existing: ExistingWorkload;
    readonly wanted: WantedWorkload;
  },
  signal: AbortSignal,
): Promise<Drift | undefined> {
  const { namespace, existing, wanted } = input;
  const live = existing.workload.object;
  const manifest = replacement(existing, wanted);
  const { object } = await client.replace(
    existing.resource,
    { namespace, manifest, dryRun: true },
    signal,
  );
  const changes = differences(live.spec ?? {}, object.spec ?? {});
  if (changes.length === 0) return undefined;
  const grows = (live.spec?.replicas ?? 0) <= (object.spec?.replicas ?? 0);
  const onlyGrows = grows && changes.every((change) => change.startsWith('replicas:'));
  return { changes, disturbs: !onlyGrows, manifest };
}

/** By hash and size, without asking the server. */
function isAsAsked(live: Workload, wanted: WantedWorkload): boolean {
  const hashOf = ({ metadata }: Pick<WantedWorkload, 'metadata'>): string | undefined =>
    metadata?.annotations?.[specHashAnnotation];
  return hashOf(live) === hashOf(wanted) && live.spec?.replicas === wanted.spec?.replicas;
}

/** How often it is tried anew when somebody else, such as a controller, was faster. */
const mostTries = 5;

/**
 * Shows how a live workload differs from the one asked for, and brings it there unless that could
 * end a running build.
 *
 * A refusal is told and not thrown: the builder is there, and can build as it is.
 */
export async function applyDrift(drifting: Drifting, existing: ExistingWorkload): Promise<void> {
  const { client, spec, logger, signal } = drifting;
  const { namespace } = spec;
  if (existing.resource !== workloadResource(spec)) {
    const claims = existing.resource === 'statefulsets' ? 'claimed volumes' : 'no claimed volumes';
    logger.info(
      `Builder ${spec.name} differs from what is asked for; left as it is, with ${claims}: that cannot change while it exists`,
    );
    return;
  }
  let live = existing;
  for (let tries = 1; ; tries += 1) {
    try {
      await applyOnce(drifting, live);
      return;
    } catch (failure) {
      signal.throwIfAborted();
      if (!isConflict(failure) || tries === mostTries) {
        logger.info(
          `Builder ${spec.name} differs from what is asked for; that could not be applied: ${messageOf(failure)}`,
        );
        return;
      }
      const { name } = live.workload.object.metadata;
      const workload = await client.get(live.resource, { namespace, name }, signal);
      live = { ...live, workload };
    }
  }
}

type Drifting = Pick<
  Acquisition,
  'builder' | 'client' | 'connections' | 'logger' | 'rollout' | 'signal' | 'spec'
>;

async function applyOnce(drifting: Drifting, existing: ExistingWorkload): Promise<void> {
  const { client, builder, connections, logger, rollout, signal } = drifting;
  const live = existing.workload.object;
  const isAsked = isAsAsked(live, workloadManifest(drifting.spec, undefined));
  if (isAsked && !(await endsSoon(connections.secrets, existing, signal))) return;
  // What `mode: auto` comes to matters only to what is changed.
  const settled = await inSettledMode(client, drifting.spec, signal);
  const { maxLifetimeMs } = builder;
  const renewing = { client, spec: settled, maxLifetimeMs };
  const spec = await withLiveCertificates(renewing, existing, signal);
  const { namespace, name } = spec;
  const wanted = workloadManifest(spec, undefined);
  const drift = await findDrift(client, { namespace, existing, wanted }, signal);
  if (drift === undefined) return;
  const shown = drift.changes.map((change) => `  ${change}`).join('\n');
  const tell = (outcome: string): void => {
    logger.info(`Builder ${name} differs from what is asked for; ${outcome}:\n${shown}`);
  };
  const { jobId } = spec.identity;
  const users = drift.disturbs ? await otherUsers(client, { namespace, name, jobId }, signal) : [];
  if (users !== undefined && users.length > 0) {
    tell(`left as it is while it is used by ${users.join(', ')}`);
    return;
  }
  const owner = live.metadata.ownerReferences?.[0];
  await replaceConfiguration(client, { spec, owner }, signal);
  await client.replace(existing.resource, { namespace, manifest: drift.manifest }, signal);
  tell('applied');
  if (!drift.disturbs) return;
  // They are about to go.
  await rollout.podsListed(signal);
  rollout.passOver(
    rollout.pods.filter(
      ({ metadata }) => metadata.annotations?.[specHashAnnotation] !== spec.identity.specHash,
    ),
  );
}

/** The wanted specification in the live object, which stays that of its maker and its owner. */
function replacement(
  { resource, workload }: ExistingWorkload,
  wanted: WantedWorkload,
): Drift['manifest'] {
  const { metadata } = workload.object;
  const hash = wanted.metadata?.annotations?.[specHashAnnotation];
  return {
    apiVersion: 'apps/v1',
    kind: resource === 'deployments' ? 'Deployment' : 'StatefulSet',
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        ...(hash === undefined ? {} : { [specHashAnnotation]: hash }),
      },
    },
    spec: wanted.spec,
  } as Drift['manifest'];
}

/** Changed leaves, items of lists by their name where they have one. */
function differences(live: NonNullable<Workload['spec']>, wanted: KubeTree): string[] {
  const [before, after] = [leaves(live, ''), leaves(wanted, '')];
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths]
    .filter((path) => !path.includes(specHashAnnotation) && before.get(path) !== after.get(path))
    .sort()
    .map((path) => `${path}: ${before.get(path) ?? 'unset'} → ${after.get(path) ?? 'unset'}`);
}

function leaves(value: unknown, path: string): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path, String(value)]]);
  const children: [string, unknown][] = Array.isArray(value)
    ? value.map((item: unknown, index) =>
        // A flag in front must not show all others as changed.
        typeof item === 'string' && path.endsWith(`[${containerName}].args`)
          ? [`${path}[${item}]`, 'set']
          : [`${path}[${nameOf(item) ?? index}]`, item],
      )
    : Object.entries(value).map(([key, item]) => [path === '' ? key : `${path}.${key}`, item]);
  return new Map(children.flatMap(([childPath, child]) => [...leaves(child, childPath)]));
}

function nameOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, mountPath } = item as { readonly name?: unknown; readonly mountPath?: unknown };
  if (typeof mountPath === 'string') return mountPath;
  return typeof name === 'string' ? name : undefined;
}
