import type { V1Container, V1PodSpec, V1ResourceRequirements } from '@kubernetes/client-node';
import { parseQuantity } from '../../shared/quantity.ts';

/** Quantities by resource, in billionths of their units. */
export type Amounts = Readonly<Partial<Record<string, bigint>>>;

const units = 1_000_000_000n;

/** A number of whole objects. */
export function wholeAmount(count: number): bigint {
  return BigInt(count) * units;
}

/** Quantities as the API has them; those of a form that we do not know are left out. */
export function readAmounts(
  quantities: Readonly<Partial<Record<string, string>>> | undefined,
): Amounts {
  return Object.fromEntries(
    Object.entries(quantities ?? {}).flatMap(([resource, text = '']) => {
      const amount = parseQuantity(text);
      return amount === undefined ? [] : [[resource, amount]];
    }),
  );
}

const suffixes: ReadonlyMap<bigint, string> = new Map([
  [60n, 'Ei'],
  [50n, 'Pi'],
  [40n, 'Ti'],
  [30n, 'Gi'],
  [20n, 'Mi'],
  [10n, 'Ki'],
]);

/**
 * An amount of a resource as people write it.
 *
 * Bytes in the largest unit that leaves them whole, or cut to whole Mi; fractions in thousandths.
 */
export function showAmount(amount: bigint, resource: string): string {
  const whole = amount / units;
  const isBytes = /memory|storage$|hugepages-/.test(resource);
  if (!isBytes) return amount % units === 0n ? String(whole) : `${amount / 1_000_000n}m`;
  if (whole === 0n) return '0';
  const fits = (bits: bigint): boolean => whole % (1n << bits) === 0n;
  const bits = [...suffixes.keys()].find((each) => fits(each) && each > 10n);
  const shown = bits ?? (whole >= 1n << 20n ? 20n : fits(10n) ? 10n : 0n);
  return `${whole >> shown}${suffixes.get(shown) ?? ''}`;
}

/** What a container asks for; a request that is not named is that of the limit. */
export function containerAmounts({ resources }: V1Container): {
  readonly requests: Amounts;
  readonly limits: Amounts;
} {
  const limits = readAmounts(resources?.limits);
  return { requests: { ...limits, ...readAmounts(resources?.requests) }, limits };
}

/**
 * What a pod takes as a whole, as quotas and the scheduler count it.
 *
 * Its containers run together; before them, init containers one by one, except those that stay.
 * Follows `PodRequests` and `PodLimits` of k8s.io/component-helpers/resource.
 */
export function podAmounts(spec: V1PodSpec, kind: 'requests' | 'limits'): Amounts {
  let staying: Amounts = {};
  let peak: Amounts = {};
  for (const container of spec.initContainers ?? []) {
    const amounts = containerAmounts(container)[kind];
    if (container.restartPolicy === 'Always') {
      staying = combine(staying, amounts, sum);
      peak = combine(peak, staying, larger);
    } else peak = combine(peak, combine(staying, amounts, sum), larger);
  }
  const together = spec.containers
    .map((container) => containerAmounts(container)[kind])
    .reduce((all, one) => combine(all, one, sum), staying);
  const total = { ...combine(together, peak, larger), ...podLevelAmounts(spec, kind) };
  const overhead = readAmounts(spec.overhead);
  // A limit counts the overhead only where there is a limit.
  const counted = Object.entries(overhead).filter(([name]) => kind === 'requests' || name in total);
  return combine(total, Object.fromEntries(counted), sum);
}

/** What the pod itself asks for, in place of its containers. */
export function podLevelAmounts(
  spec: V1PodSpec & { readonly resources?: V1ResourceRequirements },
  kind: 'requests' | 'limits',
): Amounts {
  const limits = readAmounts(spec.resources?.limits);
  return kind === 'limits' ? limits : { ...limits, ...readAmounts(spec.resources?.requests) };
}

type Operation = (a: bigint, b: bigint) => bigint;
const sum: Operation = (a, b) => a + b;
const larger: Operation = (a, b) => (a > b ? a : b);

function combine(one: Amounts, other: Amounts, operation: Operation): Amounts {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries(
    [...names].map((name) => [name, operation(one[name] ?? 0n, other[name] ?? 0n)]),
  );
}
