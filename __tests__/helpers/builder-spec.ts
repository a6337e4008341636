import {
  type BuilderIdentity,
  type BuilderSpec,
  builderSpec,
  type BuilderTls,
} from '../../src/kubernetes/builder-spec.ts';
import type { DaemonFile } from '../../src/kubernetes/daemon-files.ts';
import type { BuilderOptions, KubernetesDriverOptions } from '../../src/options/options.ts';
import { builderOptions } from './builder-options.ts';

export interface SpecChanges {
  readonly driver?: Partial<KubernetesDriverOptions>;
  readonly builder?: Omit<Partial<BuilderOptions>, 'driver'>;
  readonly files?: readonly DaemonFile[];
  readonly job?: Partial<BuilderIdentity>;
  readonly tls?: BuilderTls;
}

const job = {
  jobId: 'j1',
  runId: '42',
  repository: 'acme/app',
  sha: 'abc',
  runUrl: 'https://github.example/run/42',
  runAttempt: '2',
  version: '1.0.0',
};

/** A specification as `builderSpec` makes it, by default of a job's own builder for arm64. */
export function specWith(changes: SpecChanges = {}): BuilderSpec {
  const builder = builderOptions({
    platforms: [{ os: 'linux', architecture: 'arm64', variant: 'v8' }],
    maxLifetimeMs: 3_600_000,
    ...changes.builder,
    driver: changes.driver ?? {},
  });
  const { mode } = builder.driver;
  return builderSpec({
    builder,
    files: changes.files ?? [],
    job: { ...job, ...changes.job },
    namespace: 'ci',
    mode: mode === 'auto' ? 'privileged' : mode,
    tls: changes.tls,
  });
}

/** The same with names that are easy to compare. */
export function namedSpec(changes: SpecChanges = {}): BuilderSpec {
  const spec = specWith(changes);
  const name = changes.builder?.name ?? 'kbx-a';
  const workload = spec.workload.replace(spec.name, name);
  const identity = { ...spec.identity, specHash: 'ff', creator: 'me' };
  return { ...spec, name, workload, tlsSecret: `${workload}-tls`, identity };
}
