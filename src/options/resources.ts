import { invalidOption } from './driver-option-names.ts';
import type { KubernetesDriverOptions, ResourceQuantities } from './options.ts';
import type { Problems } from './problems.ts';
import { parseQuantity, quantityForm, suggestQuantity } from '../shared/quantity.ts';

const resources = ['cpu', 'memory', 'ephemeral-storage'] as const;
type Resource = (typeof resources)[number];

/** What a builder asks for when the user says nothing. */
const defaultRequests: ResourceQuantities = { cpu: '250m', memory: '512Mi' };

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
          invalidOption({
            option: `requests.${resource}`,
            value: request.text,
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

/** A quantity as it was written, and in billionths of its unit. */
export interface ReadQuantity {
  readonly text: string;
  readonly nanos: bigint;
}

/** The value of one option; throws an `InputError` for anything but a quantity, whole unless of CPU. */
export function readQuantity(option: string, text: string): ReadQuantity {
  const nanos = parseQuantity(text);
  if (nanos === undefined) throw malformed(option, text);
  if (!option.endsWith('.cpu') && nanos % nanosPerUnit !== 0n) throw fractional(option, text);
  return { text, nanos };
}

function read(
  given: ReadonlyMap<string, string>,
  option: string,
  problems: Problems,
): ReadQuantity | undefined {
  const text = given.get(option);
  if (text === undefined) return undefined;
  return problems.guard<ReadQuantity | undefined>(undefined, () => readQuantity(option, text));
}

function defaultRequest(resource: Resource, limit: ReadQuantity | undefined): string | undefined {
  const text = defaultRequests[resource];
  if (text === undefined || limit === undefined) return text;
  return (parseQuantity(text) ?? 0n) > limit.nanos ? limit.text : text;
}

function malformed(option: string, value: string) {
  const problem = 'is not a quantity';
  return invalidOption({ option, value, problem, expected: quantityForm, hint: guess(value) });
}

/** The API server takes `512m` of memory, half a byte, with which no pod can start. */
function fractional(option: string, value: string) {
  return invalidOption({
    option,
    value,
    problem: 'is a fraction of a byte',
    expected: 'whole bytes such as 512Mi or 4G',
    hint: guess(value),
  });
}

function guess(value: string): string | undefined {
  const suggestion = suggestQuantity(value);
  return suggestion === undefined ? undefined : `Write ${suggestion}.`;
}
