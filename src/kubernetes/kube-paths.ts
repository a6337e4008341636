import type { Filter, ResourceName } from './kube-client.ts';

/** API group of each resource; the core group has no name. */
export const groups: Readonly<Record<ResourceName, string>> = {
  configmaps: '',
  deployments: 'apps',
  events: '',
  jobs: 'batch',
  leases: 'coordination.k8s.io',
  limitranges: '',
  persistentvolumeclaims: '',
  poddisruptionbudgets: 'policy',
  pods: '',
  replicasets: 'apps',
  resourcequotas: '',
  secrets: '',
  statefulsets: 'apps',
};

/** Where the server keeps a resource of a namespace, or one object of it. */
export function pathOf(resource: ResourceName, namespace: string, name?: string): string {
  const group = groups[resource];
  const root = group === '' ? '/api/v1' : `/apis/${group}/v1`;
  const folder = `${root}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
  return name === undefined ? folder : `${folder}/${encodeURIComponent(name)}`;
}

/** The query that narrows a list or a watch down. */
export function queryOf(filter: Filter): Record<string, string> {
  const { labelSelector, fieldSelector, limit } = filter;
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(limit === undefined ? {} : { limit: String(limit) }),
  };
}

/** The query of a call that only asks what would become of it, or that takes every field seriously. */
export function writeQuery({
  dryRun = false,
  strict = false,
}: {
  readonly dryRun?: boolean;
  readonly strict?: boolean;
}): { readonly query?: Record<string, string> } {
  if (!dryRun && !strict) return {};
  return {
    query: { ...(dryRun && { dryRun: 'All' }), ...(strict && { fieldValidation: 'Strict' }) },
  };
}
