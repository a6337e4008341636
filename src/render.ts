/** What a run would create, printed in place of being created. */
import type { GitHubContext } from './action/github-context.ts';
import { shareJobId } from './action/job-id.ts';
import { type BuilderSpec, builderSpec } from './kubernetes/builder-spec.ts';
import { loadDaemonFiles } from './kubernetes/daemon-files.ts';
import { redactedTls, renderManifests } from './kubernetes/manifests/render.ts';
import { platformSuffix } from './kubernetes/names.ts';
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
  const manifests = await renderManifests(specs, { maxLifetimeMs });
  const remarks = remarksOn(nodes, specs).map((remark) => `# ${remark}\n`);
  process.stdout.write(remarks.join('') + manifests);
}

/** Sentences on where a run does something else than what is printed. */
export function remarksOn(
  nodes: readonly BuilderOptions[],
  specs: readonly BuilderSpec[],
): string[] {
  const ofPods = nodes.filter(({ remote }) => remote === undefined);
  const remarks: string[] = [];
  if (specs.some(({ tls }) => tls !== undefined)) {
    remarks.push(
      'The certificates of the connection are made by each run: buildkitd does not start without them.',
      'Render with `connection: exec` what is to be applied by hand; that needs none.',
    );
  }
  if (specs.some(({ files }) => files.some(({ secret }) => secret))) {
    remarks.push('Put the keys for registries into their Secret.');
  }
  if (ofPods.some(({ driver }) => driver.namespace === undefined)) {
    remarks.push(
      `No namespace is set: a run takes that of its kube context, not ${defaultNamespace}.`,
    );
  }
  if (ofPods.some(({ driver }) => driver.mode === 'auto')) {
    remarks.push(
      'mode=auto: a run takes the least privileged mode that works, not always privileged.',
    );
  }
  for (const { kubeContext, platforms } of ofPods.slice(1)) {
    if (kubeContext === nodes[0]?.kubeContext) continue;
    const labels = platforms.map(platformSuffix).join(', ');
    remarks.push(
      `What is labelled ${labels} belongs to the context ${kubeContext ?? 'of its kubeconfig'}.`,
    );
  }
  return remarks;
}
