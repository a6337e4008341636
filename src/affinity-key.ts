import { relative, resolve } from 'node:path';
import type { GitHubContext } from './action/github-context.ts';

/** Repository and context folder: builds that share files and cache go to the same pod. */
export function defaultAffinityKey(
  { repository, workspace }: Pick<GitHubContext, 'repository' | 'workspace'>,
  contextPath: string,
): string {
  const folder = relative(workspace, contextPath);
  return folder === '' ? repository : `${repository}/${folder}`;
}

/**
 * What buildx hashes for a context as the user wrote it: always a path below the working folder, also
 * for an address, which loses a slash by that.
 */
export function buildxAffinityKey(workingFolder: string, context: string): string {
  return resolve(workingFolder, context);
}
