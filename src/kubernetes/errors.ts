import { CodedError, type ErrorDetails } from '../shared/errors.ts';

export type KubernetesErrorCode =
  | 'KUBECONFIG_MISSING'
  | 'KUBECONFIG_INVALID'
  | 'KUBE_CONTEXT_UNKNOWN'
  | 'KUBE_CREDENTIALS_FAILED'
  | 'KUBE_API_UNREACHABLE'
  | 'KUBE_API_FAILED'
  | 'KUBE_UNAUTHORIZED'
  | 'KUBE_FORBIDDEN'
  | 'NAMESPACE_MISSING'
  | 'BUILDKITD_CONFIG_INVALID'
  | 'POD_TEMPLATE_INVALID'
  | 'BUILDER_MISSING'
  | 'BUILDER_REFUSED'
  | 'BUILDER_UNSCHEDULABLE'
  | 'BUILDER_VOLUME'
  | 'BUILDER_IMAGE_PULL'
  | 'BUILDER_CRASHED'
  | 'BUILDER_QUOTA'
  | 'BUILDER_TIMEOUT'
  | 'QUEUE_TIMEOUT'
  | 'BUILDER_LOST'
  | 'BUILDER_UNREACHABLE'
  | 'CONNECTION_REFUSED'
  | 'CONNECTION_FAILED'
  | 'CONNECTION_CLOSED'
  | 'EXEC_REFUSED'
  | 'EXEC_FAILED'
  | 'EXEC_UPGRADE_REFUSED'
  | 'EXEC_CLOSED';

/** A failure of the cluster or of the way to it. */
export class KubernetesError extends CodedError<KubernetesErrorCode> {
  override readonly name = 'KubernetesError';
  /** What the API server answered with; unset when there was no answer. */
  readonly httpStatus: number | undefined;

  constructor(
    code: KubernetesErrorCode,
    message: string,
    details: ErrorDetails & { readonly httpStatus?: number | undefined } = {},
  ) {
    super(code, message, details);
    this.httpStatus = details.httpStatus;
  }
}
