/** From options to a builder that answers, and what must happen once it is no longer needed. */
import { homedir } from 'node:os';

import type { GitHubContext } from './action/github-context.ts';
import type { ActionLogger } from './action/logger.ts';
import { type JobId, sharePod } from './action/job-id.ts';
import type { BuilderAtWork } from './builder-at-work.ts';
import type { BuildkitConnection } from './buildkit/connection.ts';
import { type Builder, bootstrap, type BuilderState } from './kubernetes/driver.ts';
import type { KubeClient } from './kubernetes/kube-client.ts';
import { loadKubeConfig } from './kubernetes/kube-config.ts';
import { createKubeClient } from './kubernetes/kube-http-client.ts';
import type { BuilderOptions } from './options/options.ts';
import type { Dialer } from './shared/dialer.ts';
import { inGroup } from './shared/logger.ts';
import type { Timings } from './timings.ts';
import { version } from './version.ts';

export interface BuilderRequest {
  readonly options: BuilderOptions;
  /** Of a job's own builder with several nodes; unset: made from the job and the options. */
  readonly sharedName?: string;
  readonly job: JobId;
  /** Tells what this step makes from what others do; the same in each of its attempts. */
  readonly creator: string;
  readonly github: GitHubContext;
  /** What the choice among several pods sticks to, where `options` do not say. */
  readonly affinityKey: string;
  /** What buildx would hash for the same choice: the absolute path of the context. */
  readonly buildxKey: string;
  /** Whether an attempt before had a builder that answered; default false. */
  readonly hasWorked?: boolean;
  /** Uids of pods that did not answer any more. */
  readonly avoid?: readonly string[];
  /** Called before anything is created. */
  readonly onNamed: (state: BuilderState) => void;
  /** Called once all of it exists, with what becomes of it if nobody removes it. */
  readonly onProvisioned: (state: BuilderState, expiry: string) => void;
  readonly logger: ActionLogger;
  readonly signal: AbortSignal;
  readonly timings: Timings;
}

/** A builder whose daemon has answered. */
export interface ConnectedBuilder {
  readonly builder: BuilderAtWork;
  readonly connection: BuildkitConnection;
}

/** How long the last word to the cluster may take when the work is over. */
const settleTimeoutMs = 5000;

/** Provisions or finds a builder, connects to it and hands it to `use`. */
export async function withBuilder<T>(
  request: BuilderRequest,
  use: (connected: ConnectedBuilder) => Promise<T>,
): Promise<T> {
  const { options, logger, timings } = request;
  if (options.remote !== undefined) {
    const { withRemoteBuilder } = await import('./with-remote-builder.ts');
    return withRemoteBuilder({ ...request, endpoint: options.remote }, openConnection, use);
  }
  using client = await inGroup(logger, 'Cluster', () => openCluster(options, logger, request));
  timings.end('cluster');
  await using stack = new AsyncDisposableStack();
  const connected = await inGroup(logger, 'Builder', async () => {
    const builder = stack.use(await provision(request, client));
    request.onProvisioned(builder.state, builder.expiry);
    // Also after a failure or a cancellation, hence with a signal of its own.
    stack.defer(() => builder.settle(AbortSignal.timeout(settleTimeoutMs)));
    return { builder, connection: stack.use(await connect(builder, request)) };
  });
  timings.end('builder');
  return await use(connected);
}

/**
 * The client for the cluster that the inputs and the environment name; masks its credentials.
 *
 * `hasWorked`: whether this job has used it before, so that it is worth waiting for.
 */
export async function openCluster(
  options: Pick<BuilderOptions, 'kubeconfig' | 'kubeContext'>,
  logger: ActionLogger,
  { hasWorked = false }: Pick<BuilderRequest, 'hasWorked'> = {},
): Promise<KubeClient> {
  const { kubeconfig, kubeContext } = options;
  const from = { kubeconfig, kubeContext, env: process.env, homeFolder: homedir() };
  const config = await loadKubeConfig(from);
  const client = createKubeClient(config, process.env, {
    mask: (secret) => {
      logger.mask(secret);
    },
    limits: { isKnown: hasWorked },
  });
  logger.info(
    `Cluster ${client.server.origin}${client.server.pathname}, context ${client.context}, from ${client.source}`,
  );
  return client;
}

function provision(request: BuilderRequest, client: KubeClient): Promise<Builder> {
  const { options, sharedName, job, creator, github, logger, signal, onNamed } = request;
  const { repository, sha, runId, runUrl, runAttempt } = github;
  return bootstrap({
    client,
    builder: options,
    sharedName,
    job: { ...job, creator, repository, sha, runId, runUrl, runAttempt, version },
    affinityKey: options.affinityKey ?? request.affinityKey,
    buildxKey: request.buildxKey,
    avoid: request.avoid ?? [],
    logger,
    signal,
    onNamed,
  });
}

async function connect(
  builder: Builder,
  { logger, signal }: BuilderRequest,
): Promise<BuildkitConnection> {
  const connection = await builder.connect(openConnection, signal);
  logger.info(`BuildKit ${connection.version} answered in pod ${builder.podName ?? ''}`);
  sharePod(builder.reachedPod ?? '');
  return connection;
}

/**
 * Opens a stream, and loads what the build needs while the pod starts its end of it.
 *
 * Loading takes about as long as that, and nothing else is to be done meanwhile. Throws what the
 * dialer throws, the error of the stream, or a `BuildkitError`.
 */
export async function openConnection(
  dial: Dialer,
  signal: AbortSignal,
): Promise<BuildkitConnection> {
  const stream = await dial(signal);
  try {
    const { BuildkitConnection: Connection } = await import('./buildkit/connection.ts');
    // Nobody has listened yet, and a stream that has ended does not say so again.
    if (stream.errored !== null) throw stream.errored;
    const connecting = Connection.open(() => Promise.resolve(stream), signal);
    const [connection] = await Promise.all([connecting, import('./build.ts')]);
    return connection;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}
