import type { ResourceQuantities } from '../options/options.ts';

/** Enough to be scheduled with care and not to be the first one evicted. */
const defaultRequests = { cpu: '250m', memory: '512Mi' } as const;

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** What a container asks for and may use. */
export interface ContainerResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/**
 * Fills in our default requests, each unless the user gave that one.
 *
 * A default is lowered to the user's limit: the API server refuses a request above its limit.
 */
export function containerResources(
  requests: ResourceQuantities,
  limits: ResourceQuantities,
): ContainerResources {
  const defaults = Object.entries(defaultRequests).map(([name, quantity]) => {
    const limit = limits[name as keyof ResourceQuantities];
    const lowered = limit !== undefined && quantityValue(limit) < quantityValue(quantity);
    return [name, lowered ? limit : quantity] as const;
  });
  return {
    requests: { ...Object.fromEntries(defaults), ...requests },
    limits: { ...limits },
  };
}

/** The number that a Kubernetes quantity stands for; NaN for what is none. */
export function quantityValue(quantity: string): number {
  const match = /^([+-]?[\d.]+)([eE][+-]?\d+)?(\D{0,2})$/.exec(quantity.trim());
  const factor = suffixes[match?.[3] ?? ''];
  return match === null || factor === undefined
    ? NaN
    : Number(`${match[1] ?? ''}${match[2] ?? ''}`) * factor;
}
