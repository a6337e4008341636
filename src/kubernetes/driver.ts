import type { BuilderOptions } from '../options/options.ts';
import type { Dialer } from '../shared/dialer.ts';
import type { Logger } from '../shared/logger.ts';
import type { KubernetesError } from './errors.ts';
import type { KubeClient } from './kube-client.ts';

/** Who asks for the builder; ends up in its labels and annotations. */
export interface JobIdentity {
  /** Random, shared by all steps of one job: `newJobId()`. */
  readonly jobId: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly sha: string;
  readonly runId: string;
  readonly runUrl: string;
  readonly runAttempt: string;
  /** Of this action. */
  readonly version: string;
}

/** What the post step needs to remove a builder; JSON, without secrets. */
export interface BuilderState {
  readonly namespace: string;
  readonly name: string;
  /** Name of Deployment and ConfigMap. */
  readonly workload: string;
  /** Random; objects that do not carry it were made by another step and are left alone. */
  readonly creator: string;
}

export interface BootstrapOptions {
  readonly client: KubeClient;
  readonly builder: BuilderOptions;
  readonly job: JobIdentity;
  /** What sticky choice among pods hashes. */
  readonly affinityKey: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called before anything is created; creation waits for it. */
  readonly onNamed: (state: BuilderState) => Promise<void> | void;
}

/** A provisioned builder; disposing stops everything that runs for it here and removes nothing. */
export interface Builder extends AsyncDisposable {
  readonly state: BuilderState;
  /** Whether this call created it, rather than found it. */
  readonly created: boolean;
  /** The pod that `connect` reached. */
  readonly podName: string | undefined;
  /**
   * Runs `open` against the chosen pod as soon as that may succeed, again and again while the
   * causes are transient.
   *
   * Throws `KubernetesError` when the pods cannot come, or not in time.
   */
  connect<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** Resolves, with the reason, when the connected pod is gone or its container has ended. */
  podLost(signal: AbortSignal): Promise<KubernetesError>;
  /** Says why the connection to the connected pod ended: always `BUILDER_LOST`. */
  explainLoss(signal: AbortSignal): Promise<KubernetesError>;
  /** Ends the beat and leaves the builder what remains of its longest life. */
  settle(signal: AbortSignal): Promise<void>;
}

/** Provisions or finds the builder of this job; returns once its objects exist. */
export function bootstrap(options: BootstrapOptions): Promise<Builder> {
  options;
  return Promise.reject(new Error('being written'));
}
