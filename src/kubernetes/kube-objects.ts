/**
 * The fields of Kubernetes objects that we read, as JSON has them.
 *
 * Everything the server may leave out is optional; timestamps are RFC 3339 text.
 */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  /** Who set which fields, with the server's time of the last change of each. */
  readonly managedFields?: readonly { readonly time?: string }[];
}

/** Any object. */
export interface KubeObject {
  readonly metadata: ObjectMeta;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string | null;
}

export interface Job extends KubeObject {
  readonly spec?: { readonly activeDeadlineSeconds?: number };
  readonly status?: { readonly startTime?: string; readonly conditions?: readonly Condition[] };
}

/** Deployment, StatefulSet and ReplicaSet alike. */
export interface Workload extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    /** A pod template, to be compared rather than read. */
    readonly template?: KubeTree;
    readonly volumeClaimTemplates?: readonly KubeTree[];
  };
  readonly status?: {
    readonly replicas?: number;
    readonly conditions?: readonly Condition[];
  };
}

/** Any part of an object. */
export type KubeTree = Readonly<Record<string, unknown>>;

/** `coordination.k8s.io/v1`; times have microseconds. */
export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
  };
}

/** Values of `data` are base64. */
export interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** One condition on the pods that a quota counts; `In` and `NotIn` have values. */
export interface QuotaScope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface ResourceQuota extends KubeObject {
  readonly spec?: {
    readonly hard?: Readonly<Record<string, string>>;
    readonly scopes?: readonly string[];
    readonly scopeSelector?: { readonly matchExpressions?: readonly QuotaScope[] };
  };
  readonly status?: {
    readonly hard?: Readonly<Record<string, string>>;
    readonly used?: Readonly<Record<string, string>>;
  };
}

/** Values are quantities by resource. */
export interface LimitRange extends KubeObject {
  readonly spec?: {
    readonly limits?: readonly {
      /** `Container`, `Pod` or `PersistentVolumeClaim`. */
      readonly type: string;
      readonly max?: Readonly<Record<string, string>>;
      readonly min?: Readonly<Record<string, string>>;
      /** Limits, and requests, of containers that name none. */
      readonly default?: Readonly<Record<string, string>>;
      readonly defaultRequest?: Readonly<Record<string, string>>;
    }[];
  };
}

export interface Node extends KubeObject {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly nodeInfo?: { readonly architecture?: string; readonly operatingSystem?: string };
    readonly runtimeHandlers?: readonly {
      readonly name?: string;
      readonly features?: { readonly userNamespaces?: boolean };
    }[];
  };
}

export interface TerminatedState {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason?: string;
  readonly message?: string;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: TerminatedState;
}

export interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly restartCount: number;
  readonly containerID?: string;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly schedulerName?: string;
    readonly hostname?: string;
    readonly hostNetwork?: boolean;
    readonly volumes?: readonly {
      readonly name: string;
      readonly secret?: { readonly secretName?: string };
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
    readonly containers?: readonly {
      readonly name: string;
      readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
    }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** `v1` Event. */
export interface KubeEvent extends KubeObject {
  readonly involvedObject: {
    readonly kind?: string;
    readonly name?: string;
    readonly uid?: string;
    /** Such as `spec.containers{buildkitd}`. */
    readonly fieldPath?: string;
  };
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly count?: number;
  readonly source?: { readonly component?: string };
  readonly reportingComponent?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

export interface KubeList<T extends KubeObject> {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly T[];
}

/** What the server answers with instead of an object. */
export interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    readonly causes?: readonly {
      readonly reason?: string;
      readonly message?: string;
      readonly field?: string;
    }[];
  };
}
