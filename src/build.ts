/** One build on a builder that answers: session, solve, progress and what came of it. */
import { homedir } from 'node:os';
import { dirname, relative } from 'node:path';

import type { GitHubContext } from './action/github-context.ts';
import { LineWriter } from './action/line-writer.ts';
import type { ActionLogger } from './action/logger.ts';
import { whileBuilderLives } from './builder-watch.ts';
import { createCredentialStore } from './credentials/credential-store.ts';
import {
  type DockerConfig,
  dockerConfigPath,
  readDockerConfig,
} from './credentials/docker-config.ts';
import { keepYoungSpaceSmall } from './memory.ts';
import type { ActionOptions } from './options/options.ts';
import { type FailedVertex, ProgressDisplay } from './progress/display.ts';
import { authProvider } from './session/auth-provider.ts';
import { FileSyncProvider, type Transfer } from './session/filesync/provider.ts';
import { Session } from './session/session.ts';
import { randomIdentity } from './shared/identity.ts';
import { inGroup } from './shared/logger.ts';
import { SolveError } from './solve/errors.ts';
import { withProxyArgs } from './solve/frontend-attrs.ts';
import { type BuildResult, buildResult } from './solve/result.ts';
import { solveRequest } from './solve/solve-request.ts';
import { solve } from './solve/solve.ts';
import type { SolveResponse } from './wire/gen/control.ts';
import type { ConnectedBuilder } from './with-builder.ts';

export interface BuildRequest {
  readonly options: ActionOptions;
  readonly connected: ConnectedBuilder;
  readonly github: GitHubContext;
  readonly logger: ActionLogger;
  readonly signal: AbortSignal;
  /** What earlier attempts have taken of the build's time-out. */
  readonly spentMs: number;
}

/** Builds, and shows the progress; a failing step is shown last, outside of the group. */
export async function build(request: BuildRequest): Promise<BuildResult> {
  using _small = keepYoungSpaceSmall();
  const { options, connected, logger } = request;
  const { name, nodeName, driver } = connected.builder;
  const lines = new LineWriter((text) => {
    logger.info(text);
  });
  const display = new ProgressDisplay({
    write: (text) => {
      lines.write(text);
    },
    header: `building with "${name}" instance using ${driver} driver`,
  });
  const transfers: Transfer[] = [];
  const ref = randomIdentity();
  try {
    const response = await inGroup(logger, 'Build', async () => {
      logger.info(options.contextReason);
      try {
        return await solveOrExplain(request, { ref, display, transfers });
      } finally {
        display.finish();
        lines.end();
        logger.info(describeTransfers(transfers, connected));
      }
    });
    return buildResult(response.ExporterResponse, {
      reference: { builder: name, node: nodeName, ref },
      exporters: options.build.exporters,
      warnings: display.warnings(),
    });
  } catch (error) {
    showFailure(error, display.failures(), logger);
    const { blameIgnoreFile } = await import('./ignore-file-fault.ts');
    throw await blameIgnoreFile(error, options.build);
  }
}

interface Run {
  readonly ref: string;
  readonly display: ProgressDisplay;
  readonly transfers: Transfer[];
}

/** Solves until the build ends or its pod does, and says which. */
async function solveOrExplain(request: BuildRequest, run: Run): Promise<SolveResponse> {
  const { options, connected, signal, logger } = request;
  const { builder, connection } = connected;
  const { display } = run;
  const watch = {
    builder,
    connection,
    step: () => display.runningStep,
    tell: (line: string) => {
      logger.info(line);
    },
    signal,
  };
  return await whileBuilderLives(watch, async (news) => {
    const path = dockerConfigPath(process.env, homedir());
    const dockerConfig = await readDockerConfig(path, logger);
    const session = createSession(request, run, dockerConfig);
    const buildArgs = withProxyArgs(options.build.buildArgs, dockerConfig.proxies);
    const ids = { ref: run.ref, sessionId: session.id };
    return await solve({
      connection,
      session,
      request: solveRequest({ ...options.build, buildArgs }, ids),
      onStatus: (status) => {
        news();
        display.update(status);
      },
      signal,
      timeoutMs: options.build.timeoutMs,
      spentMs: request.spentMs,
    });
  });
}

function createSession(
  { options, github, logger }: BuildRequest,
  { transfers, display }: Run,
  dockerConfig: DockerConfig,
): Session {
  const { build, builder, registryAuth } = options;
  const mask = (secret: string): void => {
    logger.mask(secret);
  };
  const { env } = process;
  return new Session({
    sharedKey: `${github.repository}:${relative(github.workspace, build.contextPath)}`,
    attachables: [
      new FileSyncProvider(
        new Map([
          ['context', { root: build.contextPath }],
          ['dockerfile', { root: dirname(build.dockerfilePath) }],
        ]),
        (transfer) => transfers.push(transfer),
      ),
      authProvider({
        credentials: createCredentialStore({ registryAuth, env, dockerConfig, logger, mask }),
        registryConfig: builder.registryConfig,
        env,
        mask,
        onAuth: (title) => {
          display.showStep(title);
        },
      }),
    ],
  });
}

/** Bytes of files by themselves, and all that went to the pod. */
function describeTransfers(
  transfers: readonly Transfer[],
  { connection }: ConnectedBuilder,
): string {
  const sum = (field: 'bytesSent' | 'files' | 'entries'): number =>
    transfers.reduce((total, transfer) => total + transfer[field], 0);
  const files = `${sum('files')} of ${sum('entries')} entries`;
  return `Context: ${files}, sent ${sum('bytesSent')} bytes of files, ${connection.bytesWritten ?? 0} bytes on the wire`;
}

function showFailure(error: unknown, failed: readonly FailedVertex[], logger: ActionLogger): void {
  for (const { name, lastLines } of failed) {
    logger.info(['------', ` > ${name}:`, ...lastLines, '------'].join('\n'));
  }
  if (error instanceof SolveError && error.failure?.excerpt !== undefined) {
    logger.info(error.failure.excerpt.trimEnd());
  }
}
