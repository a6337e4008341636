import { KubernetesError, type KubernetesErrorCode } from '../errors.ts';

/** A way to the daemon, once `auto` has chosen. */
export type Way = 'direct' | 'port-forward' | 'exec';

/**
 * What a failure of one way means.
 *
 * `not-listening`: the pod answers, its daemon does not listen yet. `passing`: may be gone the next
 * time. `refused`: will hardly change, but for nodes that have just come. `impossible`: will never.
 */
export type WayFailureKind = 'not-listening' | 'passing' | 'refused' | 'impossible';

/** Why one way to the daemon could not be taken. */
export class WayFailure extends KubernetesError {
  readonly kind: WayFailureKind;

  /** `code` defaults to `CONNECTION_FAILED` or, for what will not pass, `CONNECTION_REFUSED`. */
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
    const lasts = kind === 'refused' || kind === 'impossible';
    super(details.code ?? (lasts ? 'CONNECTION_REFUSED' : 'CONNECTION_FAILED'), message, details);
    this.kind = kind;
  }
}

/** The kind of anything that was thrown on the way to a daemon. */
export function kindOf(failure: unknown): WayFailureKind {
  if (failure instanceof WayFailure) return failure.kind;
  return failure instanceof KubernetesError ? (kinds[failure.code] ?? 'passing') : 'passing';
}

/** Of exec, and of the API server before any way; all others may pass. */
const kinds: Partial<Record<KubernetesErrorCode, WayFailureKind>> = {
  // The relay in the container finds no socket.
  EXEC_FAILED: 'not-listening',
  EXEC_UPGRADE_REFUSED: 'refused',
  KUBECONFIG_INVALID: 'impossible',
  KUBE_CREDENTIALS_FAILED: 'impossible',
  KUBE_FORBIDDEN: 'impossible',
  KUBE_UNAUTHORIZED: 'impossible',
};
