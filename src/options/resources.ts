import { invalidInput } from './errors.ts';
import type { KubernetesDriverOptions, ResourceQuantities } from './options.ts';
import type { Problems } from './problems.ts';
import { parseQuantity, quantityForm, suggestQuantity } from '../shared/quantity.ts';

const resources = ['cpu', 'memory', 'ephemeral-storage'] as const;
type Resource = (typeof resources)[number];

/** What a builder asks for when the user says nothing. */
const defaultRequests: ResourceQuantities = { cpu: '250m', memory: '512Mi' };

/** The driver options that `parseResources` reads. */
export const resourceOptionNames: readonly string[] = resources.flatMap((resource) => [
  `requests.${resource}`,
  `limits.${resource}`,
]);

const input = 'driver-opts';
const nanosPerUnit = 1_000_000_000n;

/**
 * Requests and limits from driver options by name.
 *
 * Where the user gave a limit below the default request, the request is that limit.
 */
export function parseResources(
  given: ReadonlyMap<string, string>,
  problems: Problems,
): Pick<KubernetesDriverOptions, 'requests' | 'limits'> {
  const requests: Partial<Record<Resource, string>> = {};
  const limits: Partial<Record<Resource, string>> = {};
  for (const resource of resources) {
    const request = read(given, `requests.${resource}`, problems);
    const limit = read(given, `limits.${resource}`, problems);
    if (limit !== undefined) limits[resource] = limit.text;
    if (request !== undefined) {
      requests[resource] = request.text;
      if (limit !== undefined && request.nanos > limit.nanos) {
        problems.add(
          invalidInput({
            input,
            value: `requests.${resource}=${request.text}`,
            problem: `is more than \`limits.${resource}=${limit.text}\``,
            expected: 'a request that is not above its limit',
          }),
        );
      }
    } else {
      const fallback = defaultRequest(resource, limit);
      if (fallback !== undefined) requests[resource] = fallback;
    }
  }
  return { requests, limits };
}

interface ReadQuantity {
  readonly text: string;
  readonly nanos: bigint;
}

function read(
  given: ReadonlyMap<string, string>,
  name: string,
  problems: Problems,
): ReadQuantity | undefined {
  const text = given.get(name);
  if (text === undefined) return undefined;
  return problems.guard<ReadQuantity | undefined>(undefined, () => {
    const nanos = parseQuantity(text);
    if (nanos === undefined) throw malformed(name, text);
    if (!name.endsWith('.cpu') && nanos % nanosPerUnit !== 0n) throw fractional(name, text);
    return { text, nanos };
  });
}

function defaultRequest(resource: Resource, limit: ReadQuantity | undefined): string | undefined {
  const text = defaultRequests[resource];
  if (text === undefined || limit === undefined) return text;
  return (parseQuantity(text) ?? 0n) > limit.nanos ? limit.text : text;
}

function malformed(name: string, text: string) {
  const suggestion = suggestQuantity(text);
  return invalidInput({
    input,
    value: `${name}=${text}`,
    problem: 'is not a quantity',
    expected: quantityForm,
    hint: suggestion === undefined ? undefined : `Write ${suggestion}.`,
  });
}

/** The API server takes `512m` of memory, half a byte, with which no pod can start. */
function fractional(name: string, text: string) {
  const suggestion = suggestQuantity(text);
  return invalidInput({
    input,
    value: `${name}=${text}`,
    problem: 'is a fraction of a byte',
    expected: 'whole bytes such as 512Mi or 4G',
    hint: suggestion === undefined ? undefined : `Write ${suggestion}.`,
  });
}
