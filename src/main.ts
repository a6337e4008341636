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
import { announce } from './announce.ts';
import { withAttempts } from './attempts.ts';
import { nodeOfBuilderFile, toNode, writeBuilderFile } from './builder-file.ts';
import { listenForCancellation } from './cancellation.ts';
import { failureLocation } from './failure-location.ts';
import { parseActionOptions } from './options/action-options.ts';
import { nodeForPlatforms } from './options/builder-node.ts';
import type { ActionOptions, BuilderOptions } from './options/options.ts';
import { BuilderRecords, type PostState } from './post-state.ts';
import { messageOf } from './shared/errors.ts';
import { randomIdentity } from './shared/identity.ts';
import type { BuildResult } from './solve/result.ts';
import { stayAlive } from './stay-alive.ts';
import { Timings } from './timings.ts';
import type { BuilderRequest, ConnectedBuilder } from './with-builder.ts';

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
    const location = options && failureLocation(error, options.build, github.workspace);
    fail(error, { logger, location });
  }
}

interface Run {
  readonly options: ActionOptions;
  readonly github: ReturnType<typeof readGitHubContext>;
  readonly logger: ActionLogger;
  readonly signal: AbortSignal;
}

async function run(step: Run): Promise<void> {
  const { options, github, logger, signal } = step;
  const timings = new Timings();
  timings.end('inputs');
  if (options.render) {
    const { render } = await import('./render.ts');
    return render({ nodes: [options.builder, ...options.append], github });
  }
  const request = { ...builderRequest(step), github, logger, signal, timings };
  // Loaded only when there is a failure to judge.
  const isInfrastructure = async (failure: unknown): Promise<boolean> =>
    (await import('./infrastructure.ts')).isInfrastructure(failure);
  let firstBuildAt: number | undefined;
  // The time-out is for the whole build, however many attempts it takes.
  const spentMs = (): number => performance.now() - (firstBuildAt ??= performance.now());
  const { value: result, attempts } = await withAttempts(
    { retries: options.retries, signal, logger, isInfrastructure },
    async (attempt, failures) =>
      buildOnce(step, attempt === 1 ? request : await onceMore(request, failures), spentMs),
  );
  timings.end('build');
  setOutputs({
    digest: result.digest,
    imageid: result.imageId,
    metadata: result.metadata,
    image: result.images.join('\n'),
    attempts: String(attempts),
    timings: timings.toJson(),
  });
  for (const image of result.images) logger.info(`Pushed ${image}`);
}

async function buildOnce(
  { options, github, logger, signal }: Run,
  request: BuilderRequest,
  spentMs: () => number,
): Promise<BuildResult> {
  const { withBuilder } = await import('./with-builder.ts');
  request.timings.end('load');
  return withBuilder(request, async (connected) => {
    const { build } = await import('./build.ts');
    const building = build({ options, connected, github, logger, signal, spentMs: spentMs() });
    // Meanwhile, and only of interest when there is a build.
    const reporting = report(request.options, connected, { logger, signal });
    const result = await building;
    await reporting;
    return result;
  });
}

async function report(
  options: BuilderOptions,
  connected: ConnectedBuilder,
  to: Pick<Run, 'logger' | 'signal'>,
): Promise<void> {
  const { reportNode, setNodeOutputs } = await import('./node-report.ts');
  try {
    setNodeOutputs([await reportNode(options, connected, to)]);
  } catch (failure) {
    to.logger.debug(`What the builder can do is not known: ${messageOf(failure)}`);
  }
}

/** By now the job may have a builder, and no pod of it is the one to go to at once. */
async function onceMore(
  request: BuilderRequest,
  failures: readonly unknown[],
): Promise<BuilderRequest> {
  const { unreachablePod } = await import('./infrastructure.ts');
  const avoid = failures.map(unreachablePod).filter((uid) => uid !== undefined);
  const job = { ...request.job, isLaterStep: true, lastPod: undefined };
  return { ...request, hasWorked: true, avoid, job };
}

/** Which builder is asked for, and what is kept of it for the post step. */
function builderRequest({
  options,
  github,
}: Run): Pick<
  BuilderRequest,
  'affinityKey' | 'buildxKey' | 'creator' | 'job' | 'onNamed' | 'onProvisioned' | 'options'
> {
  const asked = nodeForPlatforms(options);
  const nodes = [options.builder, ...options.append];
  const node = nodes.indexOf(asked);
  const state = new State<PostState>();
  const records = new BuilderRecords(state);
  return {
    options: asked.mustExist ? nodeOfBuilderFile(github.runnerTemp, options) : asked,
    job: shareJobId(),
    creator: randomIdentity(),
    affinityKey: defaultAffinityKey(github, options.build.contextPath),
    buildxKey: options.build.contextPath,
    onNamed: (builder) => {
      records.save({ builder, node });
      setOutputs({ name: builder.name });
      if (node === 0) return;
      // The post step has to find its cluster.
      state.save('builderFile', builder.name);
      writeBuilderFile(github.runnerTemp, { name: builder.name, nodes: nodes.map(toNode) });
    },
    onProvisioned: (builder, expiry) => {
      records.save({ builder, node, expiry });
    },
  };
}
