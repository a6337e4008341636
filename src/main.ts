/**
 * The main step: inputs in; a builder, a build and outputs out.
 *
 * What talks to the cluster is loaded only once the inputs are good, so that a wrong input is told
 * within a moment.
 */
import { fail } from './action/failure.ts';
import { readGitHubContext } from './action/github-context.ts';
import { readInputs } from './action/inputs.ts';
import { shareJobId } from './action/job-id.ts';
import { type ActionLogger, createLogger } from './action/logger.ts';
import { setOutputs } from './action/outputs.ts';
import { State } from './action/state.ts';
import { readWorld } from './action/world.ts';
import { defaultAffinityKey } from './affinity-key.ts';
import { listenForCancellation } from './cancellation.ts';
import { dockerfileLocation } from './dockerfile-location.ts';
import { parseActionOptions } from './options/action-options.ts';
import type { ActionOptions } from './options/options.ts';
import type { PostState } from './post-state.ts';
import { stayAlive } from './stay-alive.ts';
import { Timings } from './timings.ts';

/** Runs the step; never rejects: a failure is printed and becomes the exit code. */
export async function main(): Promise<void> {
  const logger = createLogger();
  using cancellation = listenForCancellation();
  using _alive = stayAlive();
  const github = readGitHubContext();
  let options: ActionOptions | undefined;
  try {
    options = parseActionOptions(readInputs(), readWorld(github));
    announce(options, logger);
    await run({ options, github, logger, signal: cancellation.signal });
  } catch (error) {
    const location = options && dockerfileLocation(error, options.build, github.workspace);
    fail(error, { logger, location });
  }
}

interface Run {
  readonly options: ActionOptions;
  readonly github: ReturnType<typeof readGitHubContext>;
  readonly logger: ActionLogger;
  readonly signal: AbortSignal;
}

async function run({ options, github, logger, signal }: Run): Promise<void> {
  const timings = new Timings();
  timings.end('inputs');
  const { withBuilder } = await import('./with-builder.ts');
  timings.end('load');
  const builder = {
    options: options.builder,
    job: shareJobId(),
    affinityKey: defaultAffinityKey(github, options.build.contextPath),
    state: new State<PostState>(),
  };
  const result = await withBuilder(
    { ...builder, github, logger, signal, timings },
    async (connected) => {
      const { build } = await import('./build.ts');
      return build({ options, connected, github, logger, signal });
    },
  );
  timings.end('build');
  setOutputs({
    digest: result.digest,
    imageid: result.imageId,
    metadata: result.metadata,
    image: result.images.join('\n'),
    timings: timings.toJson(),
  });
  for (const image of result.images) logger.info(`Pushed ${image}`);
}

function announce(options: ActionOptions, logger: ActionLogger): void {
  for (const secret of options.secrets) logger.mask(secret);
  for (const notice of options.notices) logger.notice(notice);
  for (const warning of options.warnings) logger.warning(warning);
}
