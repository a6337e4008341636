import { KubernetesError } from './errors.ts';
import type { Access, AccessRule, KubeClient } from './kube-client.ts';
import { isForbidden } from './kube-failure.ts';
import type { Notices } from './notices.ts';

/** Whether something is allowed; undefined where only trying will tell. */
export type MayAccess = (verb: string, resource: string) => boolean | undefined;

/** A right that we can do without, and what is lost then. */
export interface SoftRight {
  readonly verbs: readonly string[];
  readonly resource: string;
  readonly loss: string;
  /** Verbs without which this right is of no use, so that its lack need not be told. */
  readonly uselessWithout?: readonly string[];
}

/** Resources by group; others are in the core group. */
const groups: Readonly<Record<string, string>> = {
  deployments: 'apps',
  replicasets: 'apps',
  jobs: 'batch',
};

/** As the README has them. */
export const softRights: readonly SoftRight[] = [
  {
    verbs: ['create', 'get'],
    resource: 'jobs',
    loss: 'a builder whose runner is lost does not expire by itself',
  },
  {
    verbs: ['patch'],
    resource: 'jobs',
    loss: 'a builder whose runner is lost lives its whole max-lifetime',
    uselessWithout: ['create', 'get'],
  },
  {
    verbs: ['delete'],
    resource: 'jobs',
    loss: 'of a removed builder an empty Job stays until it expires',
    uselessWithout: ['create', 'get'],
  },
  {
    verbs: ['watch'],
    resource: 'pods',
    loss: 'pods are polled, so their changes are seen later',
  },
  {
    verbs: ['list', 'watch'],
    resource: 'deployments',
    loss: 'refusals by quota and policy may be seen only as a timeout',
  },
  {
    verbs: ['list', 'watch'],
    resource: 'replicasets',
    loss: 'refusals by quota and policy may be seen only as a timeout',
  },
  {
    verbs: ['list', 'watch'],
    resource: 'events',
    loss: 'what the scheduler and the node say about the pods is not shown',
  },
  {
    verbs: ['get'],
    resource: 'pods',
    loss: 'why a builder was lost may not be told',
  },
  {
    verbs: ['get'],
    resource: 'pods/log',
    loss: 'the last lines of a daemon that ends are not shown',
  },
  {
    verbs: ['get'],
    resource: 'pods/exec',
    loss: 'what lets only WebSocket pass cannot be passed',
  },
];

/**
 * Checks, before anything is created, that the namespace is there and that nothing is missing which
 * the builder cannot do without.
 *
 * One round of parallel calls; a second only where an authorizer does not list its rules. A check
 * that is itself refused is skipped. Throws `NAMESPACE_MISSING`, or `KUBE_FORBIDDEN` with all that
 * is missing and the Role to apply.
 */
export async function checkAccess(
  client: KubeClient,
  needs: {
    readonly namespace: string;
    readonly usesConfigMap: boolean;
    readonly usesSecret: boolean;
    readonly notices: Notices;
  },
  signal: AbortSignal,
): Promise<MayAccess> {
  const { namespace, notices } = needs;
  const [review] = await Promise.all([
    client.accessRules(namespace, signal).catch(unlessForbidden({ rules: [], incomplete: true })),
    client.checkNamespace(namespace, signal).catch(unlessForbidden(undefined)),
  ]);
  const may: MayAccess = (verb, resource) => {
    const access = { verb, resource, group: groupOf(resource) };
    if (review.rules.some((rule) => covers(rule, access))) return true;
    return review.incomplete ? undefined : false;
  };
  const missing = await findMissing(client, { namespace, hard: hardRights(needs), may }, signal);
  if (missing.length > 0) throw missingRights(client, namespace, missing);
  tellWhatIsLost(may, notices);
  return may;
}

function tellWhatIsLost(may: MayAccess, notices: Notices): void {
  for (const { verbs, resource, loss, uselessWithout = [] } of softRights) {
    const lacks = (verb: string): boolean => may(verb, resource) === false;
    const lacking = verbs.filter(lacks);
    if (lacking.length === 0 || uselessWithout.some(lacks)) continue;
    notices.once(`No right to ${lacking.join(', ')} ${resource}: ${loss}.`);
  }
}

function unlessForbidden<T>(instead: T): (thrown: unknown) => T {
  return (thrown) => {
    if (isForbidden(thrown)) return instead;
    throw thrown;
  };
}

/** What a builder cannot do without; files of the daemon live in a ConfigMap, its keys in a Secret. */
export function hardRights(needs: {
  readonly usesConfigMap: boolean;
  readonly usesSecret: boolean;
}): Access[] {
  const all = (resource: string, verbs: readonly string[]): Access[] =>
    verbs.map((verb) => ({ verb, resource, group: groupOf(resource) }));
  return [
    ...all('deployments', ['get', 'create', 'delete']),
    ...(needs.usesConfigMap ? all('configmaps', ['get', 'create', 'delete']) : []),
    ...(needs.usesSecret ? all('secrets', ['get', 'create', 'delete']) : []),
    ...all('pods', ['list']),
    ...all('pods/exec', ['create']),
  ];
}

async function findMissing(
  client: KubeClient,
  input: { readonly namespace: string; readonly hard: readonly Access[]; readonly may: MayAccess },
  signal: AbortSignal,
): Promise<Access[]> {
  const allowed = await Promise.all(
    input.hard.map(
      async (access) =>
        input.may(access.verb, access.resource) ??
        (await client.hasAccess(input.namespace, access, signal).catch(unlessForbidden(true))),
    ),
  );
  return input.hard.filter((_access, index) => allowed[index] === false);
}

function covers(rule: AccessRule, access: Access): boolean {
  // A rule for named objects does not help: our names are new in each job.
  if ((rule.resourceNames ?? []).length > 0) return false;
  const [resource = '', subresource] = access.resource.split('/');
  const resources =
    subresource === undefined ? [resource, '*'] : [access.resource, `*/${subresource}`, '*'];
  return (
    matches(rule.verbs, [access.verb, '*']) &&
    matches(rule.apiGroups, [access.group, '*']) &&
    matches(rule.resources, resources)
  );
}

function matches(granted: readonly string[] | undefined, wanted: readonly string[]): boolean {
  return granted?.some((item) => wanted.includes(item)) ?? false;
}

function groupOf(resource: string): string {
  return groups[resource] ?? '';
}

function missingRights(
  client: KubeClient,
  namespace: string,
  missing: readonly Access[],
): KubernetesError {
  const list = missing.map(({ verb, resource }) => `${verb} ${resource}`).join(', ');
  return new KubernetesError(
    'KUBE_FORBIDDEN',
    `the user of context "${client.context}" lacks rights in namespace "${namespace}": ${list}`,
    { hint: `Bind this Role to that user:\n${roleFor(namespace, missing)}` },
  );
}

/** A Role of what is missing, one rule per resource. */
function roleFor(namespace: string, missing: readonly Access[]): string {
  const resources = [...new Set(missing.map(({ resource }) => resource))];
  const rules = resources.map((resource) => {
    const verbs = missing.filter((access) => access.resource === resource);
    return [
      `  - apiGroups: ["${groupOf(resource)}"]`,
      `    resources: ["${resource}"]`,
      `    verbs: [${verbs.map(({ verb }) => `"${verb}"`).join(', ')}]`,
    ].join('\n');
  });
  return [
    'apiVersion: rbac.authorization.k8s.io/v1',
    'kind: Role',
    'metadata:',
    '  name: kube-buildx-action',
    `  namespace: ${namespace}`,
    'rules:',
    ...rules,
  ].join('\n');
}
