import type {
  V1Affinity,
  V1ConfigMap,
  V1Deployment,
  V1Job,
  V1ObjectMeta,
  V1OwnerReference,
  V1PodSpec,
  V1Secret,
  V1Volume,
} from '@kubernetes/client-node';
import type { KubernetesDriverOptions, Platform } from '../options/options.ts';
import type { DaemonFile } from './daemon-files.ts';
import { platformText } from './names.ts';

/** The container that runs the daemon; a mesh may add others. */
export const containerName = 'buildkitd';

/** The namespace of our annotations and of the labels that Kubernetes does not define. */
const prefix = 'kube-buildx-action';

/** Random per step: what tells our own objects from those of another step. */
export const creatorAnnotation = `${prefix}/creator`;

const managedBy = { 'app.kubernetes.io/managed-by': prefix } as const;

/** Autoscalers must not move a pod that is building. */
const stayAnnotations = {
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
  'karpenter.sh/do-not-disrupt': 'true',
} as const;

/** All that decides how the objects of one builder look. */
export interface BuilderSpec {
  readonly name: string;
  /** Name of Deployment, ConfigMap and Secret. */
  readonly workload: string;
  readonly namespace: string;
  readonly image: string;
  readonly replicas: number;
  readonly resources: Pick<KubernetesDriverOptions, 'requests' | 'limits'>;
  /** Unset: any Linux node, best one of `preferredArchitecture`. */
  readonly platform: Platform | undefined;
  readonly preferredArchitecture: string;
  readonly entitlements: readonly string[];
  readonly files: readonly DaemonFile[];
  readonly identity: BuilderIdentity;
}

/** Who made the objects; empty texts are left out. */
export interface BuilderIdentity {
  readonly jobId: string;
  readonly runId: string;
  readonly repository: string;
  readonly sha: string;
  readonly runUrl: string;
  readonly runAttempt: string;
  readonly version: string;
  readonly specHash: string;
  readonly creator: string;
}

/** Selects everything of one builder. */
export function builderSelector(name: string): string {
  return Object.entries({ ...managedBy, 'app.kubernetes.io/instance': name })
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Whether an object was made for this builder, by anyone. */
export function belongsTo(
  name: string,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return (
    labels?.['app.kubernetes.io/managed-by'] === prefix &&
    labels['app.kubernetes.io/instance'] === name
  );
}

/**
 * The Job that owns everything else and expires.
 *
 * With `parallelism: 0` it never runs a pod. At its deadline the Job controller fails it, the TTL
 * controller deletes it, and the garbage collector takes what names it as owner: no controller of
 * ours is needed. `activeDeadlineSeconds` may be changed while it lives, which prolongs it.
 */
export function ownerJob(
  spec: BuilderSpec,
  options: {
    readonly activeDeadlineSeconds: number;
    readonly owner: V1OwnerReference | undefined;
  },
): V1Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(spec, options.owner, spec.name),
    spec: {
      parallelism: 0,
      completions: 1,
      backoffLimit: 0,
      activeDeadlineSeconds: options.activeDeadlineSeconds,
      ttlSecondsAfterFinished: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          containers: [{ name: 'never-runs', image: spec.image }],
        },
      },
    },
  };
}

/** The workload. */
export function deployment(spec: BuilderSpec, owner: V1OwnerReference | undefined): V1Deployment {
  const labels = labelsOf(spec);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(spec, owner),
    spec: {
      replicas: spec.replicas,
      revisionHistoryLimit: 0,
      selector: { matchLabels: selectorLabels(spec) },
      template: {
        metadata: { labels, annotations: { ...annotationsOf(spec), ...stayAnnotations } },
        spec: podSpec(spec),
      },
    },
  };
}

/** Configuration that is no secret; undefined when there is none. */
export function configMap(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1ConfigMap | undefined {
  const files = spec.files.filter((file) => !file.secret);
  if (files.length === 0) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(spec, owner),
    data: Object.fromEntries(files.map((file) => [volumeKey(file), file.content])),
  };
}

/** Private keys for registries; undefined when there are none. */
export function secret(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1Secret | undefined {
  const files = spec.files.filter((file) => file.secret);
  if (files.length === 0) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(spec, owner),
    type: 'Opaque',
    stringData: Object.fromEntries(files.map((file) => [volumeKey(file), file.content])),
  };
}

function metadata(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
  name = spec.workload,
): V1ObjectMeta {
  return {
    name,
    namespace: spec.namespace,
    labels: labelsOf(spec),
    annotations: annotationsOf(spec),
    ...(owner === undefined ? {} : { ownerReferences: [owner] }),
  };
}

function selectorLabels(spec: BuilderSpec): Record<string, string> {
  return {
    ...managedBy,
    'app.kubernetes.io/instance': spec.name,
    // What tells the workloads of one builder apart.
    'app.kubernetes.io/component': spec.workload.slice(spec.name.length + 1),
  };
}

function labelsOf(spec: BuilderSpec): Record<string, string> {
  const { runId, jobId } = spec.identity;
  return {
    ...selectorLabels(spec),
    ...withoutEmpty({ [`${prefix}/run-id`]: runId, [`${prefix}/job-id`]: jobId }),
  };
}

function annotationsOf(spec: BuilderSpec): Record<string, string> {
  const { identity, platform } = spec;
  return {
    ...withoutEmpty({
      [`${prefix}/repository`]: identity.repository,
      [`${prefix}/sha`]: identity.sha,
      [`${prefix}/run-url`]: identity.runUrl,
      [`${prefix}/run-attempt`]: identity.runAttempt,
      [`${prefix}/version`]: identity.version,
      [`${prefix}/spec-hash`]: identity.specHash,
      [creatorAnnotation]: identity.creator,
      'buildx.docker.com/platform': platform === undefined ? '' : platformText(platform),
    }),
  };
}

function podSpec(spec: BuilderSpec): V1PodSpec {
  const volumes = volumesOf(spec);
  return {
    ...placement(spec),
    // Nothing in a job's own builder is worth waiting for when it is removed.
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [
      {
        name: containerName,
        image: spec.image,
        ...(spec.entitlements.length === 0 ? {} : { args: entitlementFlags(spec) }),
        securityContext: { privileged: true },
        resources: {
          requests: { ...spec.resources.requests },
          limits: { ...spec.resources.limits },
        },
        // Only for people who look at the pod: we connect as soon as the daemon answers. There is
        // no liveness probe, since a daemon too busy to answer must not be killed. The delay keeps
        // the probe out of the way of a cold start.
        readinessProbe: {
          exec: { command: ['buildctl', 'debug', 'workers'] },
          initialDelaySeconds: 5,
          periodSeconds: 30,
          timeoutSeconds: 20,
        },
        volumeMounts: [
          { name: 'state', mountPath: '/var/lib/buildkit' },
          ...(spec.files.length === 0
            ? []
            : [{ name: 'config', mountPath: '/etc/buildkit', readOnly: true }]),
        ],
      },
    ],
    volumes,
  };
}

function entitlementFlags(spec: BuilderSpec): string[] {
  return spec.entitlements.map((entitlement) => `--allow-insecure-entitlement=${entitlement}`);
}

function placement(
  spec: BuilderSpec,
): Pick<V1PodSpec, 'nodeSelector' | 'affinity' | 'topologySpreadConstraints'> {
  const { platform } = spec;
  const arch = platform === undefined ? undefined : nodeArchitecture(platform.architecture);
  return {
    nodeSelector: {
      'kubernetes.io/os': platform?.os ?? 'linux',
      ...(arch === undefined ? {} : { 'kubernetes.io/arch': arch }),
    },
    ...(arch === undefined ? { affinity: preferArchitecture(spec.preferredArchitecture) } : {}),
    // Spreading outweighs a preference, and pods of one builder must not differ in architecture.
    ...(spec.replicas > 1 && arch !== undefined
      ? {
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: selectorLabels(spec) },
            },
          ],
        }
      : {}),
  };
}

/** Nodes know no 386: those of amd64 run it natively. */
function nodeArchitecture(architecture: string): string {
  return architecture === '386' ? 'amd64' : architecture;
}

function preferArchitecture(architecture: string): V1Affinity {
  const matchExpressions = [
    { key: 'kubernetes.io/arch', operator: 'In', values: [nodeArchitecture(architecture)] },
  ];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions } },
      ],
    },
  };
}

function volumesOf(spec: BuilderSpec): V1Volume[] {
  const items = (secretFiles: boolean): { key: string; path: string }[] =>
    spec.files
      .filter((file) => file.secret === secretFiles)
      .map((file) => ({ key: volumeKey(file), path: file.path }));
  const [plain, keys] = [items(false), items(true)];
  const sources = [
    ...(plain.length === 0 ? [] : [{ configMap: { name: spec.workload, items: plain } }]),
    ...(keys.length === 0 ? [] : [{ secret: { name: spec.workload, items: keys } }]),
  ];
  return [
    // Counted against the pod's ephemeral-storage, unlike the volume that the image declares, and
    // there for images that declare none.
    { name: 'state', emptyDir: {} },
    ...(sources.length === 0 ? [] : [{ name: 'config', projected: { sources } }]),
  ];
}

/** Keys of ConfigMaps and Secrets may not have slashes. */
function volumeKey(file: DaemonFile): string {
  return file.path.replaceAll('/', '_');
}

function withoutEmpty(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
