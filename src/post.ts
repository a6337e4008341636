/** The post step: removes the builder that main made, whatever became of main. */
import { describeFailure } from './action/failure.ts';
import { readInputs } from './action/inputs.ts';
import { type ActionLogger, createLogger } from './action/logger.ts';
import { State } from './action/state.ts';
import type { PostState } from './post-state.ts';
import { stayAlive } from './stay-alive.ts';

/** All of post together, so that a cluster that does not answer cannot hold up the job. */
const postTimeoutMs = 60_000;

/** Runs the step; a failure is a warning, since it must not hide how the job went. */
export async function post(): Promise<void> {
  const logger = createLogger();
  using _alive = stayAlive();
  try {
    await removeWhatMainMade(logger);
  } catch (error) {
    logger.warning(describeFailure(error).text);
  }
}

async function removeWhatMainMade(logger: ActionLogger): Promise<void> {
  const builder = new State<PostState>().read('builder');
  if (builder === undefined) {
    logger.info('Nothing to remove: this step made no builder.');
    return;
  }
  const { openCluster } = await import('./with-builder.ts');
  const { describeRemoval, removeBuilder } = await import('./kubernetes/teardown.ts');
  const { kubeconfig, 'kube-context': kubeContext } = readInputs();
  using client = await openCluster(
    { kubeconfig: given(kubeconfig), kubeContext: given(kubeContext) },
    logger,
  );
  const signal = AbortSignal.timeout(postTimeoutMs);
  logger.info(describeRemoval(builder, await removeBuilder(client, builder, { logger, signal })));
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
