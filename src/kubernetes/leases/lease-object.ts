import type { Lease, OwnerReference, Pod } from '../kube-objects.ts';
import { builderLabels, builderSelector } from '../manifests/labels.ts';

/** What a Lease stands for: a running build, one that waits for a slot, or a job with builds to come. */
export type ClaimKind = 'build' | 'queue' | 'hold';

/** Whose build it is; empty texts are left out. */
export interface ClaimHolder {
  /** `owner/name`. */
  readonly repository: string;
  readonly runId: string;
  readonly runUrl: string;
  readonly jobId: string;
}

/** Which pods a Lease is about: those of one node of a builder. */
export interface ClaimScope {
  readonly namespace: string;
  readonly builder: string;
  readonly workload: string;
}

const prefix = 'kube-buildx-action';
const claimLabel = `${prefix}/claim`;
const workloadLabel = `${prefix}/workload`;
const repositoryAnnotation = `${prefix}/repository`;
const runUrlAnnotation = `${prefix}/run-url`;
/** The version that a Lease had when it was created, by which the queue is ordered. */
export const createdAtAnnotation = `${prefix}/created-at-version`;

const defaultDurationSeconds = 40;

/** A Lease to create. */
export interface LeaseManifest {
  readonly apiVersion: 'coordination.k8s.io/v1';
  readonly kind: 'Lease';
  readonly metadata: Omit<Lease['metadata'], 'uid'>;
  readonly spec: NonNullable<Lease['spec']>;
}

/** Makes a Lease that goes when all its pods are gone. */
export function leaseManifest(
  scope: ClaimScope,
  lease: {
    readonly name: string;
    readonly kind: ClaimKind;
    readonly pods: readonly Pod[];
    readonly holder: ClaimHolder;
    /** Random: no two claims have the same. */
    readonly claimId: string;
    readonly durationSeconds: number;
    /** The server's time, in milliseconds since 1970. */
    readonly nowMs: number;
  },
): LeaseManifest {
  const { holder, kind, nowMs } = lease;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: lease.name,
      namespace: scope.namespace,
      ...claimMetadata(scope, { kind, holder }),
      ownerReferences: lease.pods.map(ownerReference),
    },
    spec: {
      holderIdentity: [holder.repository, holder.runId, holder.jobId, lease.claimId]
        .filter((part) => part !== '')
        .join('/'),
      leaseDurationSeconds: lease.durationSeconds,
      acquireTime: microTime(nowMs),
      renewTime: microTime(nowMs),
    },
  };
}

/** What tells of a Lease what it stands for and whose it is; a hold is for all nodes of a builder. */
export function claimMetadata(
  { builder, workload }: Pick<ClaimScope, 'builder'> & Partial<ClaimScope>,
  { kind, holder }: { readonly kind: ClaimKind; readonly holder: ClaimHolder },
): Pick<Lease['metadata'], 'annotations' | 'labels'> {
  return {
    labels: {
      ...builderLabels(builder),
      [claimLabel]: kind,
      ...withoutEmpty({
        [workloadLabel]: workload ?? '',
        [`${prefix}/run-id`]: holder.runId,
        [`${prefix}/job-id`]: holder.jobId,
      }),
    },
    annotations: withoutEmpty({
      [repositoryAnnotation]: holder.repository,
      [runUrlAnnotation]: holder.runUrl,
    }),
  };
}

/** Selects the claims on a builder, or on one of its nodes. */
export function claimSelector(builder: string, workload?: string): string {
  const node = workload === undefined ? [] : [`${workloadLabel}=${workload}`];
  return [builderSelector(builder), claimLabel, ...node].join(',');
}

/** RFC 3339 with microseconds, as Leases have it. */
export function microTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace('Z', '000Z');
}

/** Undefined for a Lease that is no claim. */
export function claimKind({ metadata }: Lease): ClaimKind | undefined {
  const kind = metadata.labels?.[claimLabel];
  return kind === 'build' || kind === 'queue' || kind === 'hold' ? kind : undefined;
}

/** Whose build it is, as far as the Lease tells. */
export function holderOf({ metadata }: Lease): ClaimHolder {
  const { labels = {}, annotations = {} } = metadata;
  return {
    repository: annotations[repositoryAnnotation] ?? '',
    runId: labels[`${prefix}/run-id`] ?? '',
    runUrl: annotations[runUrlAnnotation] ?? '',
    jobId: labels[`${prefix}/job-id`] ?? '',
  };
}

/** The holder in words, such as `acme/app (run 12)`. */
export function describeHolder(lease: Lease): string {
  const { repository, runId } = holderOf(lease);
  const who = repository === '' ? (lease.spec?.holderIdentity ?? lease.metadata.name) : repository;
  return runId === '' ? who : `${who} (run ${runId})`;
}

/** Uid of the pod that the claimed build runs on. */
export function podUidOf({ metadata }: Lease): string | undefined {
  return metadata.ownerReferences?.find(({ kind }) => kind === 'Pod')?.uid;
}

/**
 * When a Lease expires, in milliseconds since 1970 by the server's clock.
 *
 * It was renewed when the server last saw a field change. What the holder wrote as the time of that
 * counts only for servers that do not tell, since his clock may be wrong.
 */
export function expiresAtMs({ metadata, spec }: Lease): number {
  const seen = (metadata.managedFields ?? []).map(({ time }) => Date.parse(time ?? ''));
  const known = seen.filter((time) => !Number.isNaN(time));
  const written = Date.parse(spec?.renewTime ?? metadata.creationTimestamp ?? '') || 0;
  const renewedAtMs = known.length === 0 ? written : Math.max(...known);
  return renewedAtMs + (spec?.leaseDurationSeconds ?? defaultDurationSeconds) * 1000;
}

/** Whether its holder still renews it. */
export function isLive(lease: Lease, nowMs: number): boolean {
  return expiresAtMs(lease) > nowMs;
}

function ownerReference({ metadata }: Pod): OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid };
}

function withoutEmpty(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
