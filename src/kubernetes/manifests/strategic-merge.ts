import type { KubeTree } from '../kube-objects.ts';

/** Lists whose items have a name, and the field it is in; all other lists are taken whole. */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  volumes: 'name',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
  resourceClaims: 'name',
  schedulingGates: 'name',
};

/** Items of these say one thing in one of several ways, which exclude each other. */
const oneOf = new Set(['volumes', 'env']);

const directive = '$patch';

interface Place {
  /** Such as `spec.containers[0]`; empty at the top. */
  readonly path: string;
  /** Where what is wrong with the patch is noted. */
  readonly problems: string[];
}

/**
 * Merges a patch into a pod template the way `kubectl patch` does by default.
 *
 * Maps are merged, lists by the names of their items where they have such, `null` removes; so does
 * `$patch: delete`, while `$patch: replace` takes the patch instead. What is wrong with the patch is
 * added to `problems`. Follows the merge keys of `k8s.io/api/core/v1` and the directives of
 * `k8s.io/apimachinery/pkg/util/strategicpatch`.
 */
export function strategicMerge(
  base: KubeTree,
  patch: KubeTree,
  problems: string[],
): Readonly<Record<string, unknown>> {
  return mergeMaps(base, patch, { path: '', problems }) ?? {};
}

/** Undefined when the patch deletes the map. */
function mergeMaps(base: KubeTree, patch: KubeTree, at: Place): KubeTree | undefined {
  const { [directive]: order, ...rest } = patch;
  if (order === 'delete') return undefined;
  if (order !== undefined && order !== 'replace' && order !== 'merge') {
    note(at, directive, `is ${shown(order)}; it may be delete, replace or merge`);
  }
  const result = new Map(order === 'replace' ? [] : Object.entries(base));
  for (const [key, value] of Object.entries(rest)) {
    if (key.startsWith('$')) {
      note(at, key, `is no directive that is understood; ${directive} is`);
      continue;
    }
    const merged = mergeValues(key, [result.get(key), value], { ...at, path: join(at.path, key) });
    if (merged === undefined) result.delete(key);
    else result.set(key, merged);
  }
  return Object.fromEntries(result);
}

function mergeValues(
  field: string,
  [base, patch]: readonly [unknown, unknown],
  at: Place,
): unknown {
  if (patch === null || patch === undefined) return undefined;
  const wanted = kindOf(base);
  if (base !== undefined && base !== null && kindOf(patch) !== wanted) {
    at.problems.push(`${at.path} must be ${wanted}`);
    return base;
  }
  if (Array.isArray(patch)) {
    const key = mergeKeys[field];
    const list: readonly unknown[] = Array.isArray(base) ? base : [];
    return key === undefined ? patch : mergeLists(field, [list, patch], { ...at, key });
  }
  return isMap(patch) ? mergeMaps(isMap(base) ? base : {}, patch, at) : patch;
}

function mergeLists(
  field: string,
  [base, patch]: readonly [readonly unknown[], readonly unknown[]],
  at: Place & { readonly key: string },
): unknown[] {
  const items = patch.map((item, index) => ({ item, path: `${at.path}[${index}]` }));
  const replaces = items.some(({ item }) => isMap(item) && item[directive] === 'replace');
  const result: unknown[] = replaces ? [] : [...base];
  for (const { item, path } of items) {
    if (isMap(item) && item[directive] === 'replace') {
      if (Object.keys(item).length > 1) {
        at.problems.push(`${path}: ${directive}: replace stands alone in its item of a list`);
      }
      continue;
    }
    const name = isMap(item) ? item[at.key] : undefined;
    if (!isMap(item) || (typeof name !== 'string' && typeof name !== 'number')) {
      at.problems.push(`${path} has no ${at.key}`);
      continue;
    }
    const index = result.findIndex((each) => isMap(each) && each[at.key] === name);
    const before = index === -1 ? undefined : result[index];
    const merged = mergeItems(field, [isMap(before) ? before : {}, item], { ...at, path });
    if (merged === undefined) result.splice(index, index === -1 ? 0 : 1);
    else result.splice(index === -1 ? result.length : index, 1, merged);
  }
  return result;
}

function mergeItems(
  field: string,
  [base, patch]: readonly [KubeTree, KubeTree],
  at: Place & { readonly key: string },
): KubeTree | undefined {
  if (!oneOf.has(field)) return mergeMaps(base, patch, at);
  const { [at.key]: name } = base;
  const ways = Object.keys(patch).filter(
    (key) => key !== at.key && key !== directive && patch[key] !== null,
  );
  const changesWay = ways.length > 0 && ways.every((way) => base[way] === undefined);
  return mergeMaps(changesWay ? { [at.key]: name } : base, patch, at);
}

function note({ path, problems }: Place, key: string, text: string): void {
  problems.push(`${join(path, key)} ${text}`);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return isMap(value) ? 'a map' : 'a single value';
}

function isMap(value: unknown): value is KubeTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
