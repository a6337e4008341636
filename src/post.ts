/** The post step: removes the builder that main made, whatever became of main. */
import { describeFailure } from './action/failure.ts';
import { readGitHubContext } from './action/github-context.ts';
import { readInputs } from './action/inputs.ts';
import { type ActionLogger, createLogger } from './action/logger.ts';
import { State } from './action/state.ts';
import { readBuilderFile, removeBuilderFile } from './builder-file.ts';
import { KubernetesError } from './kubernetes/errors.ts';
import type { RemovedNode } from './kubernetes/teardown.ts';
import type { BuilderOptions } from './options/options.ts';
import type { PostBuilder, PostState } from './post-state.ts';
import { stayAlive } from './stay-alive.ts';

/**
 * Runs the step; a failure is a warning, since it must not hide how the job went.
 *
 * `timeoutMs`, 60 000 by default, is for all of it together, so that a cluster that does not answer
 * cannot hold up the job.
 */
export async function post({ timeoutMs = 60_000 } = {}): Promise<void> {
  const logger = createLogger();
  using _alive = stayAlive();
  try {
    await removeWhatMainMade(logger, timeoutMs);
  } catch (error) {
    logger.warning(describeFailure(error).text);
  }
}

async function removeWhatMainMade(logger: ActionLogger, timeoutMs: number): Promise<void> {
  const state = new State<PostState>();
  const builderFile = state.read('builderFile');
  const records = state.read('builders') ?? [];
  const signal = AbortSignal.timeout(timeoutMs);
  if (records.length === 0) logger.info('Nothing to remove: this step made no builder.');
  // Nodes may lie in different clusters, and one that does not answer must not hold up the others.
  const ends = await Promise.all(
    records.map((record) => removeNode(record, { logger, signal, timeoutMs })),
  );
  const { describeRemovals } = await import('./kubernetes/teardown.ts');
  for (const line of describeRemovals(ends.filter((end) => end !== undefined))) logger.info(line);
  if (builderFile !== undefined) removeBuilderFile(readGitHubContext().runnerTemp, builderFile);
}

/** Undefined when it failed, which has been said. */
async function removeNode(
  record: PostBuilder,
  parts: {
    readonly logger: ActionLogger;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<RemovedNode | undefined> {
  const { logger, signal, timeoutMs } = parts;
  const { builder, expiry } = record;
  // Nothing is asked of its cluster, the way to which only a setup step may know.
  if (builder.life === 'pool') return { builder, removal: 'left' };
  const teardown = await import('./kubernetes/teardown.ts');
  try {
    const { openCluster } = await import('./with-builder.ts');
    const hasWorked = expiry !== undefined;
    using client = await openCluster(clusterOf(record), logger, { hasWorked });
    const removal = await teardown.cleanUpBuilder(client, builder, { logger, signal });
    return { builder, removal };
  } catch (error) {
    const failure = error === signal.reason ? timedOut(timeoutMs) : error;
    const outcome = teardown.describeFailedRemoval(builder, expiry);
    logger.warning(`${outcome}\n${describeFailure(failure).text}`);
    return undefined;
  }
}

/** Where a node is: that of the first one needs no file, so that a lost file loses no builder. */
function clusterOf({
  node,
  builder,
}: PostBuilder): Pick<BuilderOptions, 'kubeconfig' | 'kubeContext'> {
  const { kubeconfig, 'kube-context': kubeContext } = readInputs();
  const first = { kubeconfig: given(kubeconfig), kubeContext: given(kubeContext) };
  if (node === 0) return first;
  const file = readBuilderFile(readGitHubContext().runnerTemp, builder.name);
  return file?.nodes[node] ?? first;
}

function timedOut(timeoutMs: number): KubernetesError {
  const seconds = Math.round(timeoutMs / 1000);
  const message = `the Kubernetes API server did not do it within ${seconds} s`;
  return new KubernetesError('KUBE_API_UNREACHABLE', message);
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
