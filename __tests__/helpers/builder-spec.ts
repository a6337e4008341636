import {
  type BuilderIdentity,
  type BuilderSpec,
  builderSpec,
  type BuilderTls,
} from '../../src/kubernetes/builder-spec.ts';
import type { DaemonFile } from '../../src/kubernetes/daemon-files.ts';
import type { BuilderOptions, KubernetesDriverOptions } from '../../src/options/options.ts';

export interface SpecChanges {
  readonly driver?: Partial<KubernetesDriverOptions>;
  readonly builder?: Omit<Partial<BuilderOptions>, 'driver'>;
  readonly files?: readonly DaemonFile[];
  readonly job?: Partial<BuilderIdentity>;
  readonly tls?: BuilderTls;
}

const driverDefaults: KubernetesDriverOptions = {
  namespace: undefined,
  image: undefined,
  imagePullPolicy: undefined,
  imagePullSecrets: [],
  replicas: 1,
  mode: 'privileged',
  requests: { cpu: '250m', memory: '512Mi' },
  limits: {},
  stateVolume: { kind: 'empty-dir' },
  nodeSelector: {},
  tolerations: [],
  serviceAccount: undefined,
  schedulerName: undefined,
  annotations: {},
  labels: {},
  env: {},
  qemuImage: undefined,
  loadBalance: 'sticky',
  defaultLoad: false,
  drainTimeoutMs: undefined,
  timeoutMs: 120_000,
  timeoutIsExplicit: false,
};

const builderDefaults: Omit<BuilderOptions, 'driver'> = {
  name: undefined,
  mustExist: false,
  cleanup: true,
  keepState: false,
  remote: undefined,
  affinityKey: undefined,
  maxBuildsPerPod: 0,
  queueTimeoutMs: 0,
  buildkitdFlags: [],
  podTemplate: undefined,
  kubeconfig: undefined,
  kubeContext: undefined,
  connection: 'auto',
  platforms: [{ os: 'linux', architecture: 'arm64', variant: 'v8' }],
  runnerPlatform: { os: 'linux', architecture: 'amd64', variant: '' },
  buildkitdConfig: undefined,
  buildkitdConfigInline: undefined,
  registryConfig: {},
  entitlements: [],
  maxLifetimeMs: 3_600_000,
};

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
  const driver = { ...driverDefaults, ...changes.driver };
  return builderSpec({
    builder: { ...builderDefaults, ...changes.builder, driver },
    files: changes.files ?? [],
    job: { ...job, ...changes.job },
    namespace: 'ci',
    mode: driver.mode === 'auto' ? 'privileged' : driver.mode,
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
