/** What a run would create, printed in place of being created. */
import type { GitHubContext } from './action/github-context.ts';
import { shareJobId } from './action/job-id.ts';
import { type BuilderSpec, builderSpec } from './kubernetes/builder-spec.ts';
import { loadDaemonFiles } from './kubernetes/daemon-files.ts';
import { redactedTls, renderManifests } from './kubernetes/manifests/render.ts';
import type { BuilderOptions } from './options/options.ts';
import { version } from './version.ts';

/** Where no cluster says which namespace is meant. */
const defaultNamespace = 'default';

/** Prints the manifests of a builder's nodes as YAML documents; nothing is sent to any cluster. */
export async function render({
  nodes,
  sharedName,
  github,
}: {
  readonly nodes: readonly BuilderOptions[];
  readonly sharedName?: string;
  readonly github: GitHubContext;
}): Promise<void> {
  const { jobId } = shareJobId();
  const { repository, sha, runId, runUrl, runAttempt } = github;
  const job = { jobId, repository, sha, runId, runUrl, runAttempt, version };
  const specs = await Promise.all(
    nodes
      .filter(({ remote }) => remote === undefined)
      .map(async (builder): Promise<BuilderSpec> => {
        const files = await loadDaemonFiles(builder, process.cwd());
        const { mode } = builder.driver;
        return builderSpec({
          builder,
          files,
          job,
          sharedName,
          namespace: defaultNamespace,
          // What `auto` comes to is for the cluster to say.
          mode: mode === 'auto' ? 'privileged' : mode,
          ...(builder.connection === 'exec' ? {} : { tls: redactedTls }),
        });
      }),
  );
  const maxLifetimeMs = nodes[0]?.maxLifetimeMs ?? 0;
  process.stdout.write(await renderManifests(specs, { maxLifetimeMs }));
}
