import type { ResourceQuantities } from '../options/options.ts';
import type { KubernetesErrorCode } from './errors.ts';
import type { KubeEvent, Pod, Workload } from './kube-objects.ts';

/**
 * What a finding means for the wait.
 *
 * `waiting`: the reason to name when time is up. `stuck`: ends the wait when
 * it lasts and nobody adds nodes. `fatal`: ends it at once.
 */
export type Severity = 'waiting' | 'stuck' | 'fatal';

/** Something about the builder that the user should know. */
export interface Finding {
  readonly severity: Severity;
  /** One clause without a full stop; said once. */
  readonly text: string;
  readonly code: KubernetesErrorCode;
  readonly hint: string | undefined;
  /** Whose log tells more. */
  readonly crashed?: {
    readonly pod: string;
    readonly container: string;
    readonly previous: boolean;
  };
}

/** What the cluster shows of one builder. */
export interface Snapshot {
  readonly workloads: readonly Workload[];
  readonly pods: readonly Pod[];
  readonly events: readonly KubeEvent[];
  /** Failed pulls so far, by `pullKey`. */
  readonly failedPulls: ReadonlyMap<string, number>;
}

/** What was asked for, to name it. */
export interface Wanted {
  readonly image: string;
  /** Such as `linux/arm64`; undefined when any Linux node will do. */
  readonly platform: string | undefined;
  /** Labels that the user wants of the nodes; default none. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly limits: ResourceQuantities;
}

/** Something that may pass by itself; the reason to name when time is up. */
export function waiting(text: string): Finding {
  return { severity: 'waiting', text, code: 'BUILDER_TIMEOUT', hint: undefined };
}
