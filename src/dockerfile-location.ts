import { basename, relative } from 'node:path';

import type { SourceLocation } from './action/logger.ts';
import type { BuildOptions } from './options/options.ts';
import { SolveError } from './solve/errors.ts';

/** The lines of the Dockerfile that a build failed at, if it is a file of the checkout. */
export function dockerfileLocation(
  error: unknown,
  { dockerfilePath }: Pick<BuildOptions, 'dockerfilePath'>,
  workspace: string,
): SourceLocation | undefined {
  const location = error instanceof SolveError ? error.failure?.location : undefined;
  const file = relative(workspace, dockerfilePath);
  // A frontend may also blame a file of its own, such as that of a remote context.
  if (location?.filename !== basename(dockerfilePath) || file.startsWith('..')) return undefined;
  return { file, line: location.startLine, endLine: location.endLine };
}
