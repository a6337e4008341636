/** Three ways to a builder: the one that this job made, one that has the name, or a new one. */
import { hostname } from 'node:os';
import type { BuilderOptions } from '../options/options.ts';
import type { Logger } from '../shared/logger.ts';
import { messageOf } from '../shared/errors.ts';
import { type BuilderSpec, inMode } from './builder-spec.ts';
import { newCertificates } from './certificates-in-use.ts';
import type { PodConnections } from './connection/pod-connections.ts';
import { readTlsSecret } from './connection/tls-secret.ts';
import type { DaemonFile } from './daemon-files.ts';
import { applyDrift } from './drift.ts';
import type { ExistingWorkload } from './existing-builder.ts';
import { holdBuilder, releaseBuilder } from './job-hold.ts';
import type { KubeClient } from './kube-client.ts';
import { serviceAccountFolder } from './kube-config.ts';
import { isForbidden } from './kube-failure.ts';
import { arrive, type SharedBuilder } from './last-job.ts';
import { replicasAnnotation } from './manifests/labels.ts';
import type { Notices } from './notices.ts';
import { findOwner } from './owner.ts';
import { preflight } from './preflight.ts';
import { provision, type Provisioned, wakeUp } from './provision.ts';
import type { Rollout } from './rollout.ts';
import { findRunnerPod } from './runner-pod.ts';
import { sweepExpired } from './sweep.ts';

export interface Acquisition {
  readonly client: KubeClient;
  readonly builder: BuilderOptions;
  readonly spec: BuilderSpec;
  readonly files: readonly DaemonFile[];
  readonly rollout: Rollout;
  readonly connections: PodConnections;
  readonly notices: Notices;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Takes the builder of an earlier step of this job, if it runs: without any further question. */
export async function adopt({
  client,
  spec,
  rollout,
  signal,
}: Acquisition): Promise<Provisioned | undefined> {
  const job = await findOwner(client, spec, signal);
  if (job === undefined) return undefined;
  await rollout.podsListed(signal);
  if (rollout.startedPod() === undefined) return undefined;
  return { ...nothingMade, job, mayProlong: true };
}

/**
 * Takes a builder that is there by its name: woken up if it sleeps, and brought to what is asked for
 * where that disturbs nobody.
 */
export async function reuse(
  acquisition: Acquisition,
  existing: ExistingWorkload,
): Promise<Provisioned> {
  const { client, builder, spec, signal } = acquisition;
  if (existing.madeBy === 'buildx') return nothingMade;
  const { namespace, driver } = spec;
  const { resource } = existing;
  const workload = existing.workload.object;
  if (workload.spec?.replicas === 0) {
    const kept = Number(workload.metadata.annotations?.[replicasAnnotation]);
    const replicas = builder.mustExist && kept > 0 ? kept : driver.replicas;
    await wakeUp(client, { namespace, resource, workload, replicas }, signal);
  } else if (!builder.mustExist) {
    await applyDrift(acquisition, existing);
  }
  const [owner] = workload.metadata.ownerReferences ?? [];
  const job = owner?.kind === 'Job' ? await findOwner(client, spec, signal) : undefined;
  return { ...nothingMade, job, mayProlong: true, owner };
}

/** Creates what is missing of the builder, once it is known that nothing stands against it. */
export async function make(acquisition: Acquisition): Promise<Provisioned> {
  const { client, builder, rollout, connections, notices, logger, signal } = acquisition;
  const { namespace } = acquisition.spec;
  const { connection, maxLifetimeMs } = builder;
  const [{ may, mode }, certificates, runnerPod] = await Promise.all([
    preflight(client, { spec: acquisition.spec, connection, notices }, signal),
    connection === 'exec' ? undefined : newCertificates(acquisition.spec, maxLifetimeMs),
    findRunnerPod(
      client,
      { namespace, serviceAccountFolder, hostname: hostname(), env: process.env },
      signal,
    ),
  ]);
  rollout.followTheRest();
  const mayKeep = ['create', 'get'].every((verb) => may(verb, 'secrets') !== false);
  const spec = { ...inMode(acquisition.spec, mode), tls: mayKeep ? certificates : undefined };
  const made = await provision({ client, spec, maxLifetimeMs, may, notices, runnerPod }, signal);
  const kept = readTlsSecret(made.tls?.data);
  if (kept !== undefined) connections.secrets.put(spec.tlsSecret, kept);
  // It has all the time of the build, and ends with the client.
  void sweepExpired(client, { namespace, logger }, signal);
  return made;
}

/**
 * Says that this job uses a builder that others may use too; undefined when the last of them is about
 * to remove it.
 */
export async function hold(
  { client, builder, spec, notices, logger, signal }: Acquisition,
  state: SharedBuilder,
  acquired: Provisioned,
): Promise<Provisioned | undefined> {
  const { name } = state;
  const shared = { ...state, owner: acquired.owner };
  const lifetimeMs = builder.maxLifetimeMs;
  try {
    await holdBuilder(client, { ...shared, holder: spec.identity, lifetimeMs }, signal);
    const arrival = await arrive(client, shared, signal);
    if (arrival !== undefined) return { ...acquired, job: arrival.job ?? acquired.job };
    await releaseBuilder(client, shared, signal);
    return undefined;
  } catch (failure) {
    signal.throwIfAborted();
    if (isForbidden(failure)) {
      notices.once(
        `No right to create leases: other jobs do not see that this one uses builder ${name}.`,
      );
    } else logger.debug(`builder ${name} cannot be held: ${messageOf(failure)}`);
    return acquired;
  }
}

const nothingMade: Provisioned = {
  created: false,
  owner: undefined,
  job: undefined,
  mayProlong: false,
  runnerPod: undefined,
  tls: undefined,
};
