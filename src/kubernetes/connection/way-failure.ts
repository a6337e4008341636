import { KubernetesError, type KubernetesErrorCode } from '../errors.ts';

/** A way to the daemon, once `auto` has chosen. */
export type Way = 'direct' | 'port-forward' | 'exec';

/**
 * What a failure of one way means.
 *
 * `not-listening`: the pod answers, its daemon does not listen yet. `passing`: may be gone the next
 * time. `refused`: trying again will not help.
 */
export type WayFailureKind = 'not-listening' | 'passing' | 'refused';

/** Why one way to the daemon could not be taken. */
export class WayFailure extends KubernetesError {
  readonly kind: WayFailureKind;

  /** `code` defaults to `CONNECTION_REFUSED` or, for what may pass, `CONNECTION_FAILED`. */
  constructor(
    kind: WayFailureKind,
    message: string,
    details: {
      readonly hint?: string;
      readonly cause?: unknown;
      readonly httpStatus?: number;
      readonly code?: KubernetesErrorCode;
    } = {},
  ) {
    const { code = kind === 'refused' ? 'CONNECTION_REFUSED' : 'CONNECTION_FAILED' } = details;
    super(code, message, details);
    this.kind = kind;
  }
}

/** The kind of anything that was thrown on the way to a daemon. */
export function kindOf(failure: unknown): WayFailureKind {
  if (failure instanceof WayFailure) return failure.kind;
  if (!(failure instanceof KubernetesError)) return 'passing';
  return refusals.has(failure.code) ? 'refused' : 'passing';
}

/** Of exec, and of the API server before any way. */
const refusals: ReadonlySet<KubernetesErrorCode> = new Set([
  'EXEC_UPGRADE_REFUSED',
  'KUBECONFIG_INVALID',
  'KUBE_CREDENTIALS_FAILED',
  'KUBE_FORBIDDEN',
  'KUBE_UNAUTHORIZED',
]);
