/** Trying again what failed for a reason that lies neither in the build nor in its inputs. */
import { setTimeout as sleep } from 'node:timers/promises';

import { CodedError, messageOf } from './shared/errors.ts';
import type { Logger } from './shared/logger.ts';

const firstPauseMs = 1_000;
const longestPauseMs = 15_000;

export interface AttemptsOptions {
  /** Attempts after the first one; 0: none. */
  readonly retries: number;
  /** Aborting it ends everything: a cancelled attempt is not repeated. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Whether a failure may pass by itself; asked only while there are attempts left. */
  readonly isInfrastructure: (failure: unknown) => boolean | Promise<boolean>;
  /** Before the second attempt, doubled before each further one up to 15 s; default 1 s. */
  readonly firstPauseMs?: number;
}

/** What came of it, and how many attempts it took. */
export interface Attempted<T> {
  readonly value: T;
  readonly attempts: number;
}

/**
 * Runs `attempt`, numbered from 1 and told of the failures before, until it succeeds or fails for good.
 *
 * Each attempt must end with nothing of it left running. Throws the last failure: as it is when it is
 * no matter of infrastructure, and with the number of attempts when all of them were used up; or the
 * reason of the signal.
 */
export async function withAttempts<T>(
  options: AttemptsOptions,
  attempt: (number: number, failures: readonly unknown[]) => Promise<T>,
): Promise<Attempted<T>> {
  const { retries, signal, logger, isInfrastructure } = options;
  const most = retries + 1;
  const failures: unknown[] = [];
  for (let number = 1; ; number += 1) {
    try {
      return { value: await attempt(number, failures), attempts: number };
    } catch (failure) {
      signal.throwIfAborted();
      if (!(await isInfrastructure(failure))) throw failure;
      if (number === most) throw number === 1 ? failure : exhausted(failure, number);
      failures.push(failure);
      logger.warning(`Attempt ${number} of ${most} failed: ${describe(failure)}`);
      await sleep(pauseMs(options, number), undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
      logger.info(`Attempt ${number + 1} of ${most}`);
    }
  }
}

function pauseMs({ firstPauseMs: first = firstPauseMs }: AttemptsOptions, failed: number): number {
  return Math.min(first * 2 ** (failed - 1), longestPauseMs);
}

function describe(failure: unknown): string {
  const code = failure instanceof CodedError ? ` [${String(failure.code)}]` : '';
  return `${messageOf(failure)}${code}`;
}

/** The same failure once more, under a message that tells how often it was tried. */
function exhausted(failure: unknown, attempts: number): unknown {
  if (!(failure instanceof CodedError)) return failure;
  const message = `${failure.message} (in the last of ${attempts} attempts)`;
  return new CodedError(failure.code, message, { hint: failure.hint, cause: failure.cause });
}
