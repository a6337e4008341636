import type { GitHubContext } from './action/github-context.ts';
import type { JobId } from './action/job-id.ts';
import { loadDaemonFiles } from './kubernetes/daemon-files.ts';
import { builderName, specHash } from './kubernetes/names.ts';
import type { BuilderOptions } from './options/options.ts';

/** The name of a builder with all its nodes: the user's, or one that no other job has. */
export async function setupName(
  nodes: readonly BuilderOptions[],
  { job, github }: { readonly job: JobId; readonly github: Pick<GitHubContext, 'repository'> },
): Promise<string> {
  const given = nodes[0]?.name;
  if (given !== undefined) return given;
  const looks = await Promise.all(
    nodes.map(async ({ driver, platforms, kubeContext, remote, buildkitdFlags, ...node }) => ({
      driver,
      platforms,
      kubeContext,
      remote: remote?.url,
      buildkitdFlags,
      files: await loadDaemonFiles(node, process.cwd()),
    })),
  );
  const { repository } = github;
  return builderName({ repository, jobId: job.jobId, specHash: specHash(looks) });
}
