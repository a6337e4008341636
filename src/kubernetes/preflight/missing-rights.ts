import { KubernetesError } from '../errors.ts';
import { groupOf } from './access.ts';
import type { Right } from './rights.ts';

/** Who lacks rights, and where. */
export interface Subject {
  readonly context: string;
  /** As the server knows the user; unset where it does not tell. */
  readonly user: string | undefined;
  readonly namespace: string;
  /** Whether the namespace is known to be there. */
  readonly namespaceSeen: boolean;
}

/** `KUBE_FORBIDDEN` before anything was created, with all that is missing. */
export class MissingRightsError extends KubernetesError {
  /** A Role of what is missing and, where the user is known, its binding; YAML for kubectl. */
  readonly role: string;

  constructor(subject: Subject, missing: readonly Right[]) {
    const role = roleFor(subject, missing);
    const { context, user, namespace, namespaceSeen } = subject;
    const who = user === undefined ? 'the user' : `user "${user}"`;
    const list = missing.map(describe).join(', ');
    const doubt = namespaceSeen ? '' : `, if there is such a namespace`;
    super(
      'KUBE_FORBIDDEN',
      `${who} of context "${context}" lacks rights in namespace "${namespace}"${doubt}: ${list}`,
      { hint: `Apply this with kubectl; docs/rbac/provision.yaml has all rights:\n${role}` },
    );
    this.role = role;
  }
}

function describe({ verbs, resource, isEither }: Right): string {
  if (isEither === true) return `${verbs.join(' or ')} ${resource}`;
  return verbs.map((verb) => `${verb} ${resource}`).join(', ');
}

function roleFor({ user, namespace }: Subject, missing: readonly Right[]): string {
  const resources = [...new Set(missing.map(({ resource }) => resource))];
  const rules = resources.flatMap((resource) => {
    const verbs = missing.filter((right) => right.resource === resource);
    return [
      `  - apiGroups: [${quote(groupOf(resource))}]`,
      `    resources: [${quote(resource)}]`,
      `    verbs: [${[...new Set(verbs.flatMap((right) => right.verbs))].map(quote).join(', ')}]`,
    ];
  });
  const metadata = ['metadata:', '  name: kube-buildx-action', `  namespace: ${namespace}`];
  const role = [
    'apiVersion: rbac.authorization.k8s.io/v1',
    'kind: Role',
    ...metadata,
    'rules:',
    ...rules,
  ];
  if (user === undefined) return role.join('\n');
  const binding = [
    '---',
    'apiVersion: rbac.authorization.k8s.io/v1',
    'kind: RoleBinding',
    ...metadata,
    'roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: kube-buildx-action }',
    'subjects:',
    `  - ${subjectOf(user)}`,
  ];
  return [...role, ...binding].join('\n');
}

function subjectOf(user: string): string {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  return namespace === undefined || name === undefined
    ? `{ apiGroup: rbac.authorization.k8s.io, kind: User, name: ${quote(user)} }`
    : `{ kind: ServiceAccount, name: ${name}, namespace: ${namespace} }`;
}

/** JSON text is YAML text as well. */
function quote(text: string): string {
  return JSON.stringify(text);
}
