import { join } from 'node:path';

import type { BuildOptions } from './options/options.ts';
import { SessionError } from './session/errors.ts';
import { toText } from './session/filesync/byte-string.ts';
import { PatternSyntaxError } from './session/filesync/glob.ts';
import { type IgnoreLine, readIgnoreFile } from './session/filesync/ignore-file.ts';
import { PatternMatcher } from './session/filesync/patterns.ts';
import { SolveError } from './solve/errors.ts';

/** What the frontend says of a bad pattern, whichever it is and wherever it is from. */
const frontendRefusal = /(?:^|: )(?:syntax error in pattern|illegal exclusion pattern: "!")$/;

/**
 * Names file and line when a build failed by a pattern of its ignore file; gives back any other
 * error.
 *
 * We may have refused the pattern, or the daemon before we saw it, which does not tell which it is.
 */
export async function blameIgnoreFile(
  error: unknown,
  { contextPath, dockerfilePath }: Pick<BuildOptions, 'contextPath' | 'dockerfilePath'>,
): Promise<unknown> {
  const isAtFault = faultOf(error);
  if (isAtFault === undefined) return error;
  for (const path of [`${dockerfilePath}.dockerignore`, join(contextPath, '.dockerignore')]) {
    const lines = await readIgnoreFile(path).catch(() => undefined);
    if (lines === undefined) continue;
    const found = lines.find(isAtFault);
    // The daemon reads no other file when there is the first.
    return found === undefined ? error : faultyLine(error, path, found);
  }
  return error;
}

function faultOf(error: unknown): ((line: IgnoreLine) => boolean) | undefined {
  if (error instanceof SessionError && error.cause instanceof PatternSyntaxError) {
    const { line } = error.cause;
    return ({ pattern }) => refusal(pattern)?.line === line;
  }
  if (error instanceof SolveError && frontendRefusal.test(error.message)) {
    return ({ pattern }) => refusal(pattern) !== undefined;
  }
  return undefined;
}

function faultyLine(cause: unknown, path: string, { pattern, line }: IgnoreLine): SessionError {
  const reason = refusal(pattern)?.message ?? `pattern "${toText(pattern)}" is not valid`;
  return new SessionError('SESSION_PATTERN_INVALID', `${path}, line ${line}: ${reason}`, {
    hint: 'Correct the line; a backslash takes the meaning from the character behind it.',
    place: { path, line },
    cause,
  });
}

function refusal(pattern: string): PatternSyntaxError | undefined {
  try {
    // Some faults show only when a pattern is needed.
    new PatternMatcher([pattern]).patterns[0]?.matches('a', 'a');
    return undefined;
  } catch (error) {
    if (error instanceof PatternSyntaxError) return error;
    throw error;
  }
}
