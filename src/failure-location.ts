import { basename, relative } from 'node:path';

import type { SourceLocation } from './action/logger.ts';
import type { BuildOptions } from './options/options.ts';
import { SessionError } from './session/errors.ts';
import { SolveError } from './solve/errors.ts';

/** The lines of a Dockerfile or ignore file that a build failed at, if it is one of the checkout. */
export function failureLocation(
  error: unknown,
  { dockerfilePath }: Pick<BuildOptions, 'dockerfilePath'>,
  workspace: string,
): SourceLocation | undefined {
  if (error instanceof SessionError && error.place !== undefined) {
    const { path, line } = error.place;
    const file = relative(workspace, path);
    return file.startsWith('..') ? undefined : { file, line };
  }
  const location = error instanceof SolveError ? error.failure?.location : undefined;
  const file = relative(workspace, dockerfilePath);
  // A frontend may also blame a file of its own, such as that of a remote context.
  if (location?.filename !== basename(dockerfilePath) || file.startsWith('..')) return undefined;
  return { file, line: location.startLine, endLine: location.endLine };
}
