import { setTimeout as sleep } from 'node:timers/promises';

import type { BuildkitConnection } from '../buildkit/connection.ts';
import { BuildkitError } from '../buildkit/errors.ts';
import { sentMessage } from '../session/grpc-status.ts';
import type { Session } from '../session/session.ts';
import { CodedError, messageOf } from '../shared/errors.ts';
import type {
  SolveRequest,
  SolveResponse,
  StatusResponse,
  VertexWarning,
} from '../wire/gen/control.ts';
import { SolveError } from './errors.ts';
import { buildFailure, hintFor } from './failure.ts';
import { lintSources } from './lint-failure.ts';

/** What one build needs. */
export interface SolveOptions {
  readonly connection: Pick<
    BuildkitConnection,
    'lost' | 'openSessionStream' | 'recordedFailure' | 'solve' | 'status'
  >;
  /** Served for as long as the build runs. */
  readonly session: Pick<Session, 'failures' | 'run'>;
  readonly request: SolveRequest;
  /** Called for every status message, in order, also for those that come after a failure. */
  readonly onStatus: (status: StatusResponse) => void;
  /** Aborting it makes the daemon stop the build. */
  readonly signal: AbortSignal;
  /** For the whole build; no limit by default. */
  readonly timeoutMs?: number | undefined;
  /** What earlier attempts have taken of it; default 0. */
  readonly spentMs?: number;
}

/** How long late status messages are waited for once the build is over. */
const statusQuietMs = 5000;

/** The same when there was none at all, as for a request that the daemon refused at once. */
const firstStatusMs = 1000;

/** How long the daemon has to tell how it stopped. */
const cancelSettleMs = 3000;

/** The daemon may know a build later than we ask for its status. */
const statusRetryMs = 500;

const grpcNotFound = 5;

/** Longer timers overflow in Node and fire at once. */
const maxTimerMs = 0x7fffffff;

/**
 * Runs one build: serves the session, solves and reports progress, all or none.
 *
 * Throws `SolveError`; a `CodedError` of the session when that is why the build failed;
 * `BuildkitError`, such as `BUILDKIT_LOST` when the connection went. Returns and throws only after
 * the last status message. Follows BuildKit `client/solve.go`.
 */
export async function solve(options: SolveOptions): Promise<SolveResponse> {
  if (options.signal.aborted) throw canceled(options.signal);
  return await new SolveRun(options).result();
}

/** Session, Solve and Status of one build, which live and die together. */
class SolveRun {
  readonly #options: SolveOptions;
  readonly #solve = new AbortController();
  readonly #session = new AbortController();
  readonly #status = new AbortController();
  /** Why we ended the build; the first reason counts. */
  #cause: unknown;
  #solved = false;
  #lastStatusMs: number | undefined;
  /** The last step that failed by itself. */
  #failedVertex: { readonly digest: string; readonly error: string } | undefined;
  readonly #warnings: VertexWarning[] = [];

  constructor(options: SolveOptions) {
    this.#options = options;
  }

  async result(): Promise<SolveResponse> {
    const session = this.#serve();
    const status = this.#readStatus();
    const [outcome] = await Promise.allSettled([this.#solveInTime()]);
    await this.#settle(session, status);
    if (outcome.status === 'fulfilled') return outcome.value;
    throw await this.#explain(outcome.reason);
  }

  async #solveInTime(): Promise<SolveResponse> {
    const { connection, request, signal, timeoutMs, spentMs = 0 } = this.#options;
    const cancel = (): void => {
      this.#end(canceled(signal));
    };
    signal.addEventListener('abort', cancel);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => {
              this.#end(timedOut(timeoutMs));
            },
            Math.min(Math.max(timeoutMs - spentMs, 1), maxTimerMs),
          );
    try {
      return await connection.solve(request, this.#solve.signal);
    } finally {
      this.#solved = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
  }

  async #serve(): Promise<void> {
    const { connection, session } = this.#options;
    try {
      await session.run(
        (metadata, signal) => connection.openSessionStream(metadata, signal),
        this.#session.signal,
      );
    } catch (error) {
      this.#end(error);
    }
  }

  async #readStatus(): Promise<void> {
    const { connection, request, onStatus } = this.#options;
    const { signal } = this.#status;
    while (!signal.aborted) {
      try {
        for await (const status of connection.status(request.Ref, signal)) {
          this.#lastStatusMs = performance.now();
          this.#noteFailure(status);
          this.#warnings.push(...status.warnings);
          onStatus(status);
        }
        return;
      } catch (error) {
        if (!isUnknownBuild(error)) {
          this.#end(error);
          return;
        }
        // Asked again, the daemon would tell all from the start.
        if (this.#solved || this.#lastStatusMs !== undefined) return;
        await sleep(statusRetryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #noteFailure({ vertexes }: StatusResponse): void {
    for (const { digest, error } of vertexes) {
      if (error !== '' && !error.endsWith('context canceled'))
        this.#failedVertex = { digest, error };
    }
  }

  /** Ends the build for a reason of ours, which the daemon is told by a cancelled call. */
  #end(cause: unknown): void {
    if (this.#solved) return;
    this.#cause ??= cause;
    this.#solve.abort(cause);
  }

  /** Ends the session and waits for late status messages, unless it is cancelled by now. */
  async #settle(session: Promise<void>, status: Promise<void>): Promise<void> {
    const { signal } = this.#options;
    this.#session.abort();
    const done = new AbortController();
    const quiet = this.#cutQuietStatus(done.signal);
    const cut = (): void => {
      this.#status.abort();
    };
    signal.addEventListener('abort', cut);
    await Promise.all([session, status]);
    signal.removeEventListener('abort', cut);
    done.abort();
    await quiet;
  }

  async #cutQuietStatus(done: AbortSignal): Promise<void> {
    const solvedMs = performance.now();
    while (!done.aborted) {
      const leftMs = this.#quietUntilMs(solvedMs) - performance.now();
      if (leftMs <= 0) {
        this.#status.abort();
        return;
      }
      await sleep(leftMs, undefined, { signal: done }).catch(() => undefined);
    }
  }

  #quietUntilMs(solvedMs: number): number {
    if (this.#cause !== undefined) return solvedMs + cancelSettleMs;
    if (this.#lastStatusMs === undefined) return solvedMs + firstStatusMs;
    return Math.max(solvedMs, this.#lastStatusMs) + statusQuietMs;
  }

  /** Picks the error that says most about why Solve failed. */
  async #explain(error: unknown): Promise<unknown> {
    const { connection } = this.#options;
    if (this.#cause instanceof SolveError) return this.#cause;
    if (error instanceof BuildkitError && error.code === 'BUILDKIT_CALL_FAILED') {
      return this.#ownFailure(error) ?? failed(error, this.#warnings);
    }
    if (connection.lost !== undefined) return connection.lost;
    if (this.#cause !== undefined) return this.#cause;
    if (error instanceof BuildkitError && error.code === 'BUILDKIT_CALL_RESET') {
      return (await this.#failureOnRecord(error)) ?? error;
    }
    return error;
  }

  /** Our own failure, if that is what the daemon repeats. */
  #ownFailure({ message, details }: BuildkitError): Error | undefined {
    const own = this.#options.session.failures
      .map(({ error }) => error)
      .find((error) => repeats(message, sentMessage(messageOf(error))));
    if (own === undefined || own instanceof CodedError) return own;
    const failure = buildFailure(messageOf(own), details);
    return new SolveError('SOLVE_FAILED', failure.message, { cause: own, failure });
  }

  /** The daemon breaks off an answer that is too large for a header, as for a huge Dockerfile. */
  async #failureOnRecord(cause: BuildkitError): Promise<SolveError | undefined> {
    const { connection, request, signal } = this.#options;
    const recorded = await connection.recordedFailure(request.Ref, signal).catch(() => undefined);
    const message = recorded ?? this.#failedVertex?.error;
    if (message === undefined) return undefined;
    const vertexDigest = this.#failedVertex?.digest;
    const failure = { ...buildFailure(message, undefined), vertexDigest };
    return new SolveError('SOLVE_FAILED', failure.message, {
      failure,
      hint: hintFor(failure.message),
      cause,
    });
  }
}

/** Whether a message of the daemon ends a line with what it was told, whatever it put before. */
function repeats(message: string, told: string): boolean {
  if (told === '') return false;
  const lines = `\n${message}\n`;
  return ['\n', ': ', ' = '].some((before) => lines.includes(`${before}${told}\n`));
}

function failed(cause: BuildkitError, warnings: readonly VertexWarning[]): SolveError {
  const { vertexDigest, sources = [] } = cause.details ?? {};
  const failure = buildFailure(cause.message, {
    vertexDigest,
    sources: [...sources, ...lintSources(cause.message, warnings)],
  });
  const hint = hintFor(failure.message);
  return new SolveError('SOLVE_FAILED', failure.message, { failure, hint, cause });
}

function canceled(signal: AbortSignal): SolveError {
  return new SolveError('SOLVE_CANCELED', 'build was canceled', { cause: signal.reason });
}

function timedOut(timeoutMs: number): SolveError {
  return new SolveError('SOLVE_TIMEOUT', `build did not end within ${timeoutMs / 1000} s`, {
    hint: 'Raise `timeout`, or look for the step that was running.',
  });
}

function isUnknownBuild(error: unknown): boolean {
  return error instanceof BuildkitError && error.grpcCode === grpcNotFound;
}
