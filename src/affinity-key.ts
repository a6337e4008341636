import { relative } from 'node:path';
import type { GitHubContext } from './action/github-context.ts';

/** Repository and context folder: builds that share files and cache go to the same pod. */
export function defaultAffinityKey(
  { repository, workspace }: Pick<GitHubContext, 'repository' | 'workspace'>,
  contextPath: string,
): string {
  const folder = relative(workspace, contextPath);
  return folder === '' ? repository : `${repository}/${folder}`;
}
