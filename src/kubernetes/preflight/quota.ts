import type { V1PodSpec } from '@kubernetes/client-node';
import { containerName } from '../manifests/labels.ts';
import type { QuotaScope, ResourceQuota } from '../kube-objects.ts';
import {
  type Amounts,
  containerAmounts,
  podAmounts,
  podLevelAmounts,
  readAmounts,
  showAmount,
  wholeAmount,
} from './amounts.ts';

/** What a builder takes of a namespace. */
export interface Demand {
  /** As admission would make it, if that is known. */
  readonly pod: V1PodSpec;
  readonly replicas: number;
  /** Beside the pods, by resource with its group, such as `deployments.apps`. */
  readonly objects: Readonly<Record<string, number>>;
  /** One for each pod; sizes are quantities. */
  readonly claim:
    { readonly storage: string; readonly storageClass: string | undefined } | undefined;
}

/** What a quota does not grant. */
export interface Shortfall {
  readonly quota: string;
  /** As the quota calls it, such as `requests.memory` or `count/deployments.apps`. */
  readonly resource: string;
  /** One clause. */
  readonly text: string;
  /** One sentence that says what to change. */
  readonly hint: string;
}

/**
 * Compares what a builder takes with what the quotas of its namespace have left.
 *
 * A quota whose scope we do not know is passed over. Follows the evaluators of
 * k8s.io/kubernetes/pkg/quota/v1.
 */
export function findShortfalls(quotas: readonly ResourceQuota[], demand: Demand): Shortfall[] {
  const ofPods = podDemand(demand);
  const ofObjects = objectDemand(demand);
  return quotas.flatMap((quota) => {
    const scopes = scopesOf(quota);
    if (!scopes.every((scope) => isInScope(scope, demand.pod))) return [];
    // Only pods have scopes.
    const asked = scopes.length === 0 ? { ...ofPods, ...ofObjects } : ofPods;
    const used = readAmounts(quota.status?.used);
    const hard = readAmounts(quota.status?.hard ?? quota.spec?.hard);
    return Object.entries(hard).flatMap(([resource, limit = 0n]) => {
      const unnamed = unnamedIn(demand.pod, resource);
      if (unnamed !== undefined) return [mustName(quota, { resource, container: unnamed })];
      const wanted = asked[resource] ?? 0n;
      const taken = used[resource] ?? 0n;
      if (wanted === 0n || taken + wanted <= limit) return [];
      return [exceeded(quota, { resource, wanted, taken, limit, replicas: demand.replicas })];
    });
  });
}

function podDemand({ pod, replicas }: Demand): Amounts {
  const requests = Object.entries(podAmounts(pod, 'requests'));
  const limits = Object.entries(podAmounts(pod, 'limits'));
  const one: [string, bigint][] = [
    ['pods', wholeAmount(1)],
    ['count/pods', wholeAmount(1)],
    ...requests.flatMap(([name, amount = 0n]): [string, bigint][] => [
      [name, amount],
      [`requests.${name}`, amount],
    ]),
    ...limits.map(([name, amount = 0n]): [string, bigint] => [`limits.${name}`, amount]),
  ];
  return Object.fromEntries(one.map(([name, amount]) => [name, amount * BigInt(replicas)]));
}

/** These have a name without `count/` as well. */
const plainCounts = new Set(['configmaps', 'secrets', 'persistentvolumeclaims']);

function objectDemand({ objects, claim, replicas }: Demand): Amounts {
  const storage = readAmounts(claim === undefined ? {} : { storage: claim.storage }).storage;
  const claims = claim === undefined ? {} : { persistentvolumeclaims: replicas };
  const counts = Object.entries({ ...objects, ...claims }).flatMap(([name, count]) => {
    const names = plainCounts.has(name) ? [name, `count/${name}`] : [`count/${name}`];
    return names.map((each) => [each, wholeAmount(count)]);
  });
  const sizes = storage === undefined ? {} : { 'requests.storage': storage * BigInt(replicas) };
  const ofClass = Object.entries({
    ...sizes,
    persistentvolumeclaims: wholeAmount(replicas),
  }).map(([name, amount]) => [
    `${claim?.storageClass ?? ''}.storageclass.storage.k8s.io/${name}`,
    amount,
  ]);
  return Object.fromEntries([
    ...counts,
    ...Object.entries(sizes),
    ...(claim?.storageClass === undefined ? [] : ofClass),
  ]) as Amounts;
}

function scopesOf({ spec }: ResourceQuota): QuotaScope[] {
  const plain = (spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' }));
  return [...plain, ...(spec?.scopeSelector?.matchExpressions ?? [])];
}

function isInScope({ scopeName, operator, values = [] }: QuotaScope, pod: V1PodSpec): boolean {
  const priority = pod.priorityClassName ?? '';
  switch (scopeName) {
    case 'Terminating':
      return pod.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return isBestEffort(pod);
    case 'NotBestEffort':
      return !isBestEffort(pod);
    case 'PriorityClass':
      if (operator === 'In') return values.includes(priority);
      if (operator === 'NotIn') return !values.includes(priority);
      return (priority !== '') === (operator === 'Exists');
    default:
      return false;
  }
}

function isBestEffort(pod: V1PodSpec): boolean {
  const amounts = [...pod.containers, ...(pod.initContainers ?? [])].map(containerAmounts);
  const all = [...amounts, { requests: podLevelAmounts(pod, 'requests'), limits: {} }];
  return all.every(({ requests }) => (requests.cpu ?? 0n) + (requests.memory ?? 0n) === 0n);
}

/** A quota of these makes every container name them. */
const mustBeNamed = /^(?:requests\.|limits\.|)(cpu|memory)$/;

/** The first container that does not name what a quota makes it name. */
function unnamedIn(pod: V1PodSpec, resource: string): string | undefined {
  const [, name] = mustBeNamed.exec(resource) ?? [];
  if (name === undefined || Object.keys(podLevelAmounts(pod, 'requests')).length > 0) {
    return undefined;
  }
  const kind = resource.startsWith('limits.') ? 'limits' : 'requests';
  return [...pod.containers, ...(pod.initContainers ?? [])].find(
    (container) => !(name in containerAmounts(container)[kind]),
  )?.name;
}

function mustName(
  { metadata }: ResourceQuota,
  { resource, container }: { readonly resource: string; readonly container: string },
): Shortfall {
  const option = resource.includes('.') ? resource : `requests.${resource}`;
  return {
    quota: metadata.name,
    resource,
    text: `quota "${metadata.name}" takes no container without ${option}, and ${container} has none`,
    hint: `Set ${option} in ${container === containerName ? 'driver-opts' : 'pod-template'}.`,
  };
}

interface Comparison {
  readonly resource: string;
  readonly wanted: bigint;
  readonly taken: bigint;
  readonly limit: bigint;
  readonly replicas: number;
}

function exceeded({ metadata }: ResourceQuota, comparison: Comparison): Shortfall {
  const { resource, wanted, taken, limit, replicas } = comparison;
  const show = (amount: bigint): string => showAmount(amount, resource);
  const left = limit > taken ? limit - taken : 0n;
  const each = wanted / BigInt(Math.max(replicas, 1));
  const sharedOut =
    replicas > 1 && each * BigInt(replicas) === wanted && isPerPod(resource)
      ? ` (${replicas} pods of ${show(each)})`
      : '';
  return {
    quota: metadata.name,
    resource,
    text:
      `quota "${metadata.name}" has ${show(left)} of ${show(limit)} ${resource} left, ` +
      `and the builder asks for ${show(wanted)}${sharedOut}`,
    hint: hintFor(resource),
  };
}

function isPerPod(resource: string): boolean {
  return !resource.startsWith('count/') && !plainCounts.has(resource) && resource !== 'pods';
}

function hintFor(resource: string): string {
  const raise = 'or have the quota raised.';
  if (resource.includes('storage') && !resource.includes('ephemeral')) {
    return `Lower persistent-volume-claim.requests.storage or replicas in driver-opts, ${raise}`;
  }
  if (resource === 'pods' || resource === 'count/pods' || resource.includes('volumeclaims')) {
    return `Lower replicas in driver-opts, let jobs share a builder by \`name\`, ${raise}`;
  }
  if (!isPerPod(resource)) {
    return `Let jobs share a builder by \`name\`, remove what is not needed any more (kubectl get ${resource.replace('count/', '')} -l app.kubernetes.io/managed-by=kube-buildx-action), ${raise}`;
  }
  const option = /^(requests|limits)\./.test(resource) ? resource : `requests.${resource}`;
  return `Lower ${option} or replicas in driver-opts, ${raise}`;
}
