/** The main step of `setup/`: a builder for the later steps of the job, and nothing built. */
import { fail } from './action/failure.ts';
import { readGitHubContext } from './action/github-context.ts';
import { readInputs } from './action/inputs.ts';
import { shareJobId } from './action/job-id.ts';
import { type ActionLogger, createLogger } from './action/logger.ts';
import { setOutputs } from './action/outputs.ts';
import { State } from './action/state.ts';
import { readWorld } from './action/world.ts';
import { announce } from './announce.ts';
import { toNode, writeBuilderFile } from './builder-file.ts';
import { listenForCancellation } from './cancellation.ts';
import { platformText } from './kubernetes/names.ts';
import { parseSetupOptions, type SetupOptions } from './options/setup-options.ts';
import { BuilderRecords, type PostState } from './post-state.ts';
import { stayAlive } from './stay-alive.ts';
import { Timings } from './timings.ts';
import { randomIdentity } from './shared/identity.ts';
import { inGroup } from './shared/logger.ts';
import type { NodeReport } from './node-report.ts';
import type { BuilderRequest } from './with-builder.ts';

/** Runs the step; never rejects: a failure is printed and becomes the exit code. */
export async function setup(): Promise<void> {
  const logger = createLogger();
  using cancellation = listenForCancellation();
  using _alive = stayAlive();
  const github = readGitHubContext();
  try {
    const options = parseSetupOptions(readInputs(), readWorld(github));
    announce(options, logger);
    await run({ options, github, logger, signal: cancellation.signal });
  } catch (error) {
    fail(error, { logger });
  }
}

interface Run {
  readonly options: SetupOptions;
  readonly github: ReturnType<typeof readGitHubContext>;
  readonly logger: ActionLogger;
  readonly signal: AbortSignal;
}

async function run(step: Run): Promise<void> {
  const { options, github } = step;
  const timings = new Timings();
  timings.end('inputs');
  const nodes = [options.builder, ...options.append];
  const { setupName } = await import('./setup-name.ts');
  const job = shareJobId();
  const name = await setupName(nodes, { job, github });
  if (options.render) {
    const { render } = await import('./render.ts');
    return render({ nodes, sharedName: name, github });
  }
  setOutputs({ name });
  const state = new State<PostState>();
  state.save('builderFile', name);
  writeBuilderFile(github.runnerTemp, { name, nodes: nodes.map(toNode) });
  const provisioning = { nodes, name, job, state, timings };
  const reports =
    nodes.length === 1
      ? await provisionAll(step, provisioning)
      : await inGroup(step.logger, 'Builder', () => provisionAll(step, provisioning));
  timings.end('builder');
  const { setNodeOutputs } = await import('./node-report.ts');
  setNodeOutputs(reports);
  setOutputs({ timings: timings.toJson() });
}

/** All nodes at once: what one of them waits for is no reason for another to wait. */
async function provisionAll(
  { github, logger, signal }: Run,
  parts: {
    readonly nodes: SetupOptions['append'];
    readonly name: string;
    readonly job: BuilderRequest['job'];
    readonly state: State<PostState>;
    readonly timings: Timings;
  },
): Promise<NodeReport[]> {
  const { nodes, name, job, state, timings } = parts;
  const records = new BuilderRecords(state);
  const creator = randomIdentity();
  const { withBuilder } = await import('./with-builder.ts');
  const { reportNode } = await import('./node-report.ts');
  // The first that fails ends the others.
  const failed = new AbortController();
  const live = AbortSignal.any([signal, failed.signal]);
  const loggerOf = (node: SetupOptions['builder']): ActionLogger =>
    nodes.length === 1 ? logger : loggerOfNode(node, logger);
  const provision = (options: SetupOptions['builder'], node: number): Promise<NodeReport> =>
    withBuilder(
      {
        options,
        sharedName: name,
        job: { ...job, lastPod: undefined },
        creator,
        github,
        affinityKey: github.repository,
        buildxKey: '',
        onNamed: (builder) => {
          records.save({ builder, node });
        },
        onProvisioned: (builder, expiry) => {
          records.save({ builder, node, expiry });
        },
        logger: loggerOf(options),
        signal: live,
        // One after the other, which nodes are not.
        timings: nodes.length === 1 ? timings : new Timings(),
      },
      (connected) => reportNode(options, connected, { logger: loggerOf(options), signal: live }),
    );
  const outcomes = await Promise.allSettled(
    nodes.map((options, node) =>
      provision(options, node).catch((failure: unknown) => {
        failed.abort(failure);
        throw failure;
      }),
    ),
  );
  if (failed.signal.aborted) throw failed.signal.reason as Error;
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}

/** Nodes talk at the same time: each line says whose it is, and the log has no groups in groups. */
function loggerOfNode(
  { platforms, runnerPlatform }: SetupOptions['builder'],
  logger: ActionLogger,
): ActionLogger {
  const [platform = runnerPlatform] = platforms;
  const label = platformText(platform);
  return {
    ...logger,
    debug: (message) => {
      logger.debug(`${label}: ${message}`);
    },
    info: (message) => {
      logger.info(`${label}: ${message}`);
    },
    warning: (message) => {
      logger.warning(`${label}: ${message}`);
    },
    startGroup: () => undefined,
    endGroup: () => undefined,
  };
}
