/** The post step: removes the builder that main made, whatever became of main. */
import { describeFailure } from './action/failure.ts';
import { readInputs } from './action/inputs.ts';
import { type ActionLogger, createLogger } from './action/logger.ts';
import { State } from './action/state.ts';
import { KubernetesError } from './kubernetes/errors.ts';
import type { PostState } from './post-state.ts';
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
  const builder = state.read('builder');
  if (builder === undefined) {
    logger.info('Nothing to remove: this step made no builder.');
    return;
  }
  const signal = AbortSignal.timeout(timeoutMs);
  const { openCluster } = await import('./with-builder.ts');
  const teardown = await import('./kubernetes/teardown.ts');
  try {
    const { kubeconfig, 'kube-context': kubeContext } = readInputs();
    using client = await openCluster(
      { kubeconfig: given(kubeconfig), kubeContext: given(kubeContext) },
      logger,
    );
    const removal = await teardown.cleanUpBuilder(client, builder, { logger, signal });
    logger.info(teardown.describeRemoval(builder, removal));
  } catch (error) {
    const failure = error === signal.reason ? timedOut(timeoutMs) : error;
    const outcome = teardown.describeFailedRemoval(builder, state.read('expiry'));
    logger.warning(`${outcome}\n${describeFailure(failure).text}`);
  }
}

function timedOut(timeoutMs: number): KubernetesError {
  const seconds = Math.round(timeoutMs / 1000);
  const message = `the Kubernetes API server did not do it within ${seconds} s`;
  return new KubernetesError('KUBE_API_UNREACHABLE', message);
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
