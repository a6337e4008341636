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

/** `driver-opts`. */
export interface KubernetesDriverOptions {
  /** Unset: the namespace of the kube context. */
  readonly namespace: string | undefined;
  readonly image: string;
  readonly replicas: number;
  readonly requests: ResourceQuantities;
  readonly limits: ResourceQuantities;
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

/** Everything that shapes a builder. */
export interface BuilderOptions {
  readonly kubeconfig: string | undefined;
  readonly kubeContext: string | undefined;
  /** How to reach the daemon; `auto` takes the best way that works. */
  readonly connection: 'auto' | 'exec';
  readonly driver: KubernetesDriverOptions;
  /** Platforms that the builder must run natively; empty: that of the runner is preferred. */
  readonly platforms: readonly Platform[];
  readonly runnerPlatform: Platform;
  /** Absolute path of a `buildkitd.toml`. */
  readonly buildkitdConfig: string | undefined;
  readonly buildkitdConfigInline: string | undefined;
  readonly registryConfig: Readonly<Record<string, RegistryHostConfig>>;
  /** Entitlements that the daemon must allow, such as `network.host`. */
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
  readonly builder: BuilderOptions;
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
