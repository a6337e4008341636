/**
 * What the user asked for, after parsing: the values that every other folder works with.
 *
 * All fields are final: defaults are filled in, lists are split, units are in the names.
 */

/** An operating system and architecture, normalised as containerd does. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Empty when the architecture has none. */
  readonly variant: string;
}

/** Kubernetes quantities by resource name, as written by the user. */
export interface ResourceQuantities {
  readonly cpu?: string;
  readonly memory?: string;
  readonly 'ephemeral-storage'?: string;
}

/** How much the daemon may do on its node; `auto` is the least that works. */
export type BuilderMode = 'privileged' | 'rootless' | 'userns' | 'auto';

/** How a build chooses among the pods of a builder. */
export type LoadBalance = 'sticky' | 'random' | 'least-busy' | 'buildx';

/** As in a pod's spec. */
export interface Toleration {
  readonly key?: string;
  readonly operator?: 'Equal' | 'Exists';
  readonly value?: string;
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  readonly tolerationSeconds?: number;
}

/** Where the daemon keeps its state; sizes are quantities. */
export type StateVolume =
  | { readonly kind: 'empty-dir' }
  | { readonly kind: 'memory'; readonly sizeLimit: string }
  | {
      readonly kind: 'claim';
      readonly storage: string;
      /** Unset: the default class of the cluster. */
      readonly storageClass: string | undefined;
      readonly accessMode: 'ReadWriteOnce' | 'ReadWriteOncePod' | 'ReadWriteMany';
    };

/** `driver-opts`. */
export interface KubernetesDriverOptions {
  /** Unset: the namespace of the kube context. */
  readonly namespace: string | undefined;
  /** Unset: BuildKit's image for the mode. */
  readonly image: string | undefined;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never' | undefined;
  /** Names of Secrets in the namespace. */
  readonly imagePullSecrets: readonly string[];
  readonly replicas: number;
  readonly mode: BuilderMode;
  readonly requests: ResourceQuantities;
  readonly limits: ResourceQuantities;
  readonly stateVolume: StateVolume;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly serviceAccount: string | undefined;
  readonly schedulerName: string | undefined;
  /** Of workload, pods and configuration, beside our own. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the daemon. */
  readonly env: Readonly<Record<string, string>>;
  /** The image that installs emulators on the node; unset: none are installed. */
  readonly qemuImage: string | undefined;
  readonly loadBalance: LoadBalance;
  /** Whether a build without outputs is loaded into the Docker engine of the runner. */
  readonly defaultLoad: boolean;
  /** How long running builds may take when a pod is asked to go; unset: 10m for pools, else 0. */
  readonly drainTimeoutMs: number | undefined;
  /** How long to wait for pods. */
  readonly timeoutMs: number;
  /** Whether the user chose `timeoutMs`; if so it is never stretched. */
  readonly timeoutIsExplicit: boolean;
}

/** One host of `registry-config`. */
export interface RegistryHostConfig {
  readonly mirrors: readonly string[];
  readonly http: boolean;
  readonly insecure: boolean;
  /** Absolute path or PEM text, as are `cert` and `key`. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** `auto` takes the best way that works. */
export type ConnectionKind = 'auto' | 'direct' | 'port-forward' | 'exec';

/** All but `serverName` are PEM text. */
export interface RemoteTls {
  /** Unset: the authorities that Node trusts. */
  readonly ca: string | undefined;
  /** Set together with `key`, or neither. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Unset: the host of the URL. */
  readonly serverName: string | undefined;
}

/** A daemon that exists: `driver: remote`. */
export interface RemoteEndpoint {
  /** `tcp://host:port` or `unix:///path`. */
  readonly url: string;
  /** Only with `tcp://`; unset: no TLS. */
  readonly tls: RemoteTls | undefined;
}

/** Everything that shapes one node of a builder; `append` makes further ones. */
export interface BuilderOptions {
  /** Unset: a builder for this job alone. */
  readonly name: string | undefined;
  /** Whether `name` must be there already, as with the input `builder`. */
  readonly mustExist: boolean;
  /** Whether the builder is removed once nobody needs it; a `name` without it is a pool. */
  readonly cleanup: boolean;
  /** Whether cleaning up keeps the state: scaled to zero, volumes kept. */
  readonly keepState: boolean;
  /** Unset: a pod in the cluster. */
  readonly remote: RemoteEndpoint | undefined;
  /** What sticky choice hashes; unset: repository and context subfolder. */
  readonly affinityKey: string | undefined;
  /** 0: no limit. */
  readonly maxBuildsPerPod: number;
  readonly queueTimeoutMs: number;
  /** Arguments of the daemon, without the entitlements among them. */
  readonly buildkitdFlags: readonly string[];
  /** Merged into our pod template: `metadata`, `spec` or both, a tree of JSON values. */
  readonly podTemplate: Readonly<Record<string, unknown>> | undefined;
  readonly kubeconfig: string | undefined;
  readonly kubeContext: string | undefined;
  readonly connection: ConnectionKind;
  readonly driver: KubernetesDriverOptions;
  /** Platforms that the builder must run natively; empty: that of the runner is preferred. */
  readonly platforms: readonly Platform[];
  readonly runnerPlatform: Platform;
  /** Absolute path of a `buildkitd.toml`. */
  readonly buildkitdConfig: string | undefined;
  readonly buildkitdConfigInline: string | undefined;
  readonly registryConfig: Readonly<Record<string, RegistryHostConfig>>;
  /** Entitlements that the daemon must allow, such as `network.host`, by the build or by flags. */
  readonly entitlements: readonly string[];
  readonly maxLifetimeMs: number;
}

/** One entry of SolveRequest.Exporters. */
export interface Exporter {
  readonly type: 'image';
  readonly attrs: Readonly<Record<string, string>>;
}

/** Everything that shapes one build. */
export interface BuildOptions {
  /** Absolute path of the local context folder. */
  readonly contextPath: string;
  /** Absolute path of the Dockerfile. */
  readonly dockerfilePath: string;
  readonly target: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly platforms: readonly Platform[];
  readonly exporters: readonly Exporter[];
  readonly noCache: boolean;
  readonly noCacheFilters: readonly string[];
  readonly pull: boolean;
  readonly network: 'default' | 'host' | 'none';
  /** `host=ip`, brackets of IPv6 addresses removed. */
  readonly addHosts: readonly string[];
  readonly shmSizeBytes: number | undefined;
  /** `name=soft:hard`, sorted. */
  readonly ulimits: readonly string[];
  readonly cgroupParent: string | undefined;
  readonly entitlements: readonly string[];
  /** Whole build; unset: no limit. */
  readonly timeoutMs: number | undefined;
}

/** Credentials given by the `registry-auth` input, by host. */
export type RegistryAuth = Readonly<
  Record<
    string,
    { readonly username?: string; readonly password?: string; readonly token?: string }
  >
>;

/** All inputs of the root action, parsed. */
export interface ActionOptions {
  /** Its first node; of the build's platforms it has those that no further node runs. */
  readonly builder: BuilderOptions;
  /** Its further nodes, each whole: what an item does not say it has from the first. */
  readonly append: readonly BuilderOptions[];
  /** Whether to print the manifests and stop. */
  readonly render: boolean;
  /** How often a build is tried again after a failure of the infrastructure. */
  readonly retries: number;
  readonly build: BuildOptions;
  readonly registryAuth: RegistryAuth;
  /** Which context was chosen and why, for the log. */
  readonly contextReason: string;
  /** Said once in the log, such as inputs that have no meaning here. */
  readonly notices: readonly string[];
  /** Legal, but hardly what was meant, such as a build without any output. */
  readonly warnings: readonly string[];
  /** Values that the log must mask. */
  readonly secrets: readonly string[];
}
