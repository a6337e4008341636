import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import type { LimitRange } from '../kube-objects.ts';
import { type Amounts, containerAmounts, podAmounts, readAmounts, showAmount } from './amounts.ts';

/** Without the class that generated clients give it. */
type Container = Pick<V1Container, keyof V1Container>;
type Limit = NonNullable<NonNullable<LimitRange['spec']>['limits']>[number];

/** A pod with what the limits of its namespace fill in for containers that name nothing. */
export function withDefaults(
  pod: Pick<V1PodSpec, keyof V1PodSpec>,
  ranges: readonly LimitRange[],
): V1PodSpec {
  const limits = limitsOf(ranges, 'Container');
  const filled = (container: Container): Container => {
    const { requests, limits: own } = container.resources ?? {};
    return {
      ...container,
      resources: {
        // What follows wins: the container's own, its own limits as requests, then the defaults.
        requests: { ...merged(limits, 'defaultRequest'), ...own, ...requests },
        limits: { ...merged(limits, 'default'), ...own },
      },
    };
  };
  if (limits.length === 0) return pod;
  return {
    ...pod,
    containers: pod.containers.map(filled),
    ...(pod.initContainers === undefined ? {} : { initContainers: pod.initContainers.map(filled) }),
  };
}

/** What in a pod or its claims the limits of its namespace do not allow, one clause each. */
export function findBreaches(
  ranges: readonly LimitRange[],
  { pod, storage }: { readonly pod: V1PodSpec; readonly storage: string | undefined },
): string[] {
  const containers = [...pod.containers, ...(pod.initContainers ?? [])];
  const whole = { requests: podAmounts(pod, 'requests'), limits: podAmounts(pod, 'limits') };
  const claim = storage === undefined ? undefined : readAmounts({ storage });
  return [
    ...containers.flatMap((container) =>
      breachesOf(ranges, {
        type: 'Container',
        what: `container ${container.name}`,
        ...containerAmounts(container),
      }),
    ),
    ...breachesOf(ranges, { type: 'Pod', what: 'the pod', ...whole }),
    ...(claim === undefined
      ? []
      : breachesOf(ranges, {
          type: 'PersistentVolumeClaim',
          what: 'its claim',
          requests: claim,
          limits: claim,
        })),
  ];
}

interface Measured {
  readonly type: string;
  readonly what: string;
  readonly requests: Amounts;
  readonly limits: Amounts;
}

function breachesOf(
  ranges: readonly LimitRange[],
  { type, what, requests, limits }: Measured,
): string[] {
  return limitsOf(ranges, type).flatMap(({ max, min, name }) => [
    ...Object.entries(readAmounts(max)).flatMap(([resource, most = 0n]) => {
      const amount = limits[resource];
      if (amount !== undefined && amount <= most) return [];
      const has = amount === undefined ? 'no limit' : showAmount(amount, resource);
      return [
        `LimitRange "${name}" allows ${showAmount(most, resource)} of ${resource}, ${what} has ${has}`,
      ];
    }),
    ...Object.entries(readAmounts(min)).flatMap(([resource, least = 0n]) => {
      const amount = requests[resource];
      if (amount !== undefined && amount >= least) return [];
      const has = amount === undefined ? 'no request' : showAmount(amount, resource);
      return [
        `LimitRange "${name}" wants at least ${showAmount(least, resource)} of ${resource}, ${what} has ${has}`,
      ];
    }),
  ]);
}

function limitsOf(
  ranges: readonly LimitRange[],
  type: string,
): (Limit & { readonly name: string })[] {
  return ranges.flatMap(({ metadata, spec }) =>
    (spec?.limits ?? [])
      .filter((limit) => limit.type === type)
      .map((limit) => ({ ...limit, name: metadata.name })),
  );
}

function merged(
  limits: readonly Limit[],
  field: 'default' | 'defaultRequest',
): Record<string, string> {
  return Object.assign({}, ...limits.map((limit) => limit[field] ?? {})) as Record<string, string>;
}
