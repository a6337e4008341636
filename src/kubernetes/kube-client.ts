import type { ResolveApiTarget } from './api-target.ts';
import type {
  Job,
  KubeEvent,
  KubeList,
  KubeObject,
  Lease,
  LimitRange,
  Node,
  Pod,
  ResourceQuota,
  Secret,
  Workload,
} from './kube-objects.ts';

/** What each resource holds. */
export interface ResourceTypes {
  readonly configmaps: KubeObject;
  readonly deployments: Workload;
  readonly events: KubeEvent;
  readonly jobs: Job;
  readonly leases: Lease;
  readonly limitranges: LimitRange;
  readonly persistentvolumeclaims: KubeObject;
  readonly poddisruptionbudgets: KubeObject;
  readonly pods: Pod;
  readonly replicasets: Workload;
  readonly resourcequotas: ResourceQuota;
  readonly secrets: Secret;
  readonly statefulsets: Workload;
}

export type ResourceName = keyof ResourceTypes;

/** An object and the server's clock when it was read, in milliseconds since 1970. */
export interface Observed<T> {
  readonly object: T;
  readonly serverTimeMs: number;
}

/** Which objects of one resource. */
export interface Filter {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** How many at most. */
  readonly limit?: number;
}

/** Which objects of a namespace. */
export interface Selection extends Omit<Filter, 'limit'> {
  readonly namespace: string;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | {
      readonly type: 'BOOKMARK';
      readonly object: { readonly metadata: { readonly resourceVersion: string } };
    };

/** One rule of what the user may do. */
export interface AccessRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A verb on a resource, which may name a subresource as in `pods/exec`. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
}

/**
 * The calls we make to the API server.
 *
 * All throw `KubernetesError`; `httpStatus` says what the server answered.
 */
export interface KubeClient extends Disposable {
  /** Where the kubeconfig was found. */
  readonly source: string;
  readonly context: string;
  readonly server: URL;
  /** Of the chosen context. */
  readonly namespace: string;
  /** For streams that need a connection of their own. */
  readonly resolveTarget: ResolveApiTarget;

  get<R extends ResourceName>(
    resource: R,
    at: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>>;
  list<R extends ResourceName>(
    resource: R,
    selection: Selection & { readonly limit?: number },
    signal: AbortSignal,
  ): Promise<KubeList<ResourceTypes[R]> & { readonly serverTimeMs: number }>;
  /** Changes after `resourceVersion`; ends when the server ends it. */
  watch<R extends ResourceName>(
    resource: R,
    selection: Selection & { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<ResourceTypes[R]>, void, undefined>;
  create<R extends ResourceName>(
    resource: R,
    at: {
      readonly namespace: string;
      readonly manifest: { metadata?: { name?: string } };
      /** Whether the server only says what would become of it. */
      readonly dryRun?: boolean;
      /** Whether fields that the server does not know are refused; by default it drops them. */
      readonly strict?: boolean;
    },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>>;
  /** Puts a whole object in place of the one that has the `resourceVersion` in its metadata. */
  replace<R extends ResourceName>(
    resource: R,
    at: {
      readonly namespace: string;
      readonly manifest: { metadata?: { name?: string } };
      readonly dryRun?: boolean;
    },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>>;
  /** A JSON merge patch; with `metadata.resourceVersion` in it, only of that version. */
  patch<R extends ResourceName>(
    resource: R,
    at: { readonly namespace: string; readonly name: string; readonly patch: object },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>>;
  /**
   * Leaves what the object owns to the garbage collector; `uid` guards against a namesake, and
   * `resourceVersion` against one that has changed since.
   */
  remove(
    resource: ResourceName,
    at: {
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion?: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<void>;
  /** The last lines that a container printed. */
  podLog(
    at: {
      readonly namespace: string;
      readonly name: string;
      readonly container: string;
      readonly tailLines: number;
      /** Of the container before its last restart. */
      readonly previous: boolean;
    },
    signal: AbortSignal,
  ): Promise<string>;
  /** Nodes of the cluster. */
  listNodes(filter: Filter, signal: AbortSignal): Promise<readonly Node[]>;
  getNode(name: string, signal: AbortSignal): Promise<Node>;
  /** The name that the server knows the user by; servers before 1.28 do not tell. */
  whoAmI(signal: AbortSignal): Promise<string | undefined>;
  /** Throws `NAMESPACE_MISSING` when there is none. */
  checkNamespace(namespace: string, signal: AbortSignal): Promise<void>;
  /** What the user may do in a namespace; `incomplete` when some authorizer keeps it secret. */
  accessRules(
    namespace: string,
    signal: AbortSignal,
  ): Promise<{ readonly rules: readonly AccessRule[]; readonly incomplete: boolean }>;
  hasAccess(namespace: string, access: Access, signal: AbortSignal): Promise<boolean>;
}
