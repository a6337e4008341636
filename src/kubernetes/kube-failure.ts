import { KubernetesError, type KubernetesErrorCode } from './errors.ts';
import { unreachable } from './exec/connect-failure.ts';
import { ApiRefusal } from './kube-http.ts';
import type { Status } from './kube-objects.ts';

/** What was tried when it failed. */
export interface FailedCall {
  readonly server: URL;
  /** As RBAC names it. */
  readonly verb: string;
  /** As RBAC names it, such as `deployments.apps`. */
  readonly resource: string;
  readonly namespace: string | undefined;
  /** The object; unset for lists. */
  readonly objectName: string | undefined;
}

/**
 * Turns what a call to the API server failed with into a `KubernetesError`.
 *
 * Every failure of a call crosses here, and only here.
 */
export function fromKubeFailure(failure: unknown, call: FailedCall): KubernetesError {
  if (failure instanceof ApiRefusal) return fromRefusal(failure, call);
  return failure instanceof KubernetesError ? failure : unreachable(failure, call.server);
}

/** Whether it is the 404 of a missing object. */
export function isNotFound(thrown: unknown): boolean {
  return thrown instanceof KubernetesError && thrown.httpStatus === 404;
}

/** Whether it is the 409 of a create; other conflicts have the reason `Conflict`. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof KubernetesError && thrown.httpStatus === 409;
}

/** Whether rights are missing: a 403 by RBAC, not by admission. */
export function isForbidden(thrown: unknown): boolean {
  return thrown instanceof KubernetesError && thrown.code === 'KUBE_FORBIDDEN';
}

/** Reads why a workload was refused from the words of admission, quota and Pod Security. */
export function explainRefusal(message: string): {
  readonly code: KubernetesErrorCode;
  readonly hint: string;
} {
  if (message.includes('exceeded quota') || message.includes('failed quota')) {
    return {
      code: 'BUILDER_QUOTA',
      hint: 'Lower requests.*, limits.* or replicas in driver-opts, or have the quota raised.',
    };
  }
  if (message.includes('violates PodSecurity')) {
    return {
      code: 'BUILDER_REFUSED',
      hint:
        'A privileged builder needs a namespace labelled pod-security.kubernetes.io/enforce=privileged; ' +
        'choose one with namespace= in driver-opts.',
    };
  }
  if (/must be less than or equal to|maximum|minimum/.test(message)) {
    return {
      code: 'BUILDER_REFUSED',
      hint: 'Change requests.* or limits.* in driver-opts to what the namespace allows.',
    };
  }
  if (message.includes('failed calling webhook')) {
    return {
      code: 'BUILDER_REFUSED',
      hint: 'An admission webhook of the cluster does not answer: have it repaired, or the namespace exempted.',
    };
  }
  return {
    code: 'BUILDER_REFUSED',
    hint: 'A policy of the cluster refuses the builder: use another namespace or have it exempted.',
  };
}

function fromRefusal(refusal: ApiRefusal, call: FailedCall): KubernetesError {
  const { httpStatus, status } = refusal;
  const what = describe(call);
  const details = { httpStatus, cause: refusal };
  const message = status?.message ?? '';
  if (httpStatus === 401) {
    return new KubernetesError(
      'KUBE_UNAUTHORIZED',
      `${call.server.host} does not accept the credentials of the kubeconfig (401)`,
      {
        ...details,
        hint: 'The token may have expired: renew it, or log in again before this step.',
      },
    );
  }
  if (isMissingNamespace(status, call)) {
    return new KubernetesError(
      'NAMESPACE_MISSING',
      `namespace "${String(call.namespace)}" not found`,
      {
        ...details,
        hint: 'Create it, or set namespace= in driver-opts.',
      },
    );
  }
  if (message.includes('because it is being terminated')) {
    return new KubernetesError(
      'NAMESPACE_MISSING',
      `namespace "${String(call.namespace)}" is being deleted`,
      { ...details, hint: 'Choose another with namespace= in driver-opts.' },
    );
  }
  if (httpStatus === 403 && isRbac(status)) {
    return new KubernetesError('KUBE_FORBIDDEN', `no right to ${what}: ${message}`, {
      ...details,
      hint: `Grant verb "${call.verb}" on "${call.resource}" as docs/rbac/provision.yaml does.`,
    });
  }
  if (isAdmission(httpStatus, message)) {
    return new KubernetesError(explainRefusal(message).code, `cannot ${what}: ${message}`, {
      ...details,
      hint: explainRefusal(message).hint,
    });
  }
  return new KubernetesError('KUBE_API_FAILED', `cannot ${what}: ${answer(refusal)}`, {
    ...details,
    ...(status === undefined && httpStatus !== 404
      ? { hint: `Something between here and ${call.server.host} answers in its place.` }
      : {}),
  });
}

/** The 404 of a create says which namespace is missing; that of a read names the object. */
function isMissingNamespace(status: Status | undefined, call: FailedCall): boolean {
  if (status?.code !== 404 && status?.reason !== 'NotFound') return false;
  return call.resource === 'namespaces' || status.details?.kind === 'namespaces';
}

/** RBAC names the user and the verb; quota and admission use 403 too. */
function isRbac(status: Status | undefined): boolean {
  return /\bcannot \w+ resource\b|\bcannot \w+ path\b|Forbidden$/.test(status?.message ?? '');
}

function isAdmission(httpStatus: number, message: string): boolean {
  return httpStatus === 403 || message.includes('admission webhook');
}

/** The server's words; a list of causes when it refused several fields. */
function answer(refusal: ApiRefusal): string {
  const { status, httpStatus } = refusal;
  const causes = (status?.details?.causes ?? []).filter((cause) => cause.field !== undefined);
  if (httpStatus === 422 && causes.length > 0) {
    return causes.map((cause) => `${String(cause.field)}: ${cause.message ?? ''}`).join('; ');
  }
  return status?.message ?? `the server answered HTTP ${httpStatus}`;
}

function describe(call: FailedCall): string {
  const object = call.objectName === undefined ? '' : ` "${call.objectName}"`;
  const where = call.namespace === undefined ? '' : ` in namespace "${call.namespace}"`;
  return `${call.verb} ${call.resource}${object}${where}`;
}
