/** Values of single driver options; all functions throw an `InputError` that names the option. */
import { parseGoBoolean } from '../shared/go-boolean.ts';
import { invalidOption, type ScalarOptionName } from './driver-option-names.ts';
import { durationForm, parseGoDuration } from './go-duration.ts';
import {
  describeReferenceProblem,
  imageReferenceForm,
  parseImageReference,
} from './image-reference.ts';
import { dnsSubdomainForm, isDnsLabel, isDnsSubdomain } from './kubernetes-names.ts';
import { didYouMean } from './nearest-name.ts';

/** An option with what was written for it. */
export interface WrittenOption {
  readonly option: string;
  readonly value: string;
}

const mostReplicas = 2 ** 31 - 1;
/** Timers of Node cannot wait longer. */
const longestWaitMs = 2 ** 31 - 1;

export function namespaceOf(written: WrittenOption): string {
  if (isDnsLabel(written.value)) return written.value;
  throw invalidOption({
    ...written,
    problem: 'is not a name of a namespace',
    expected: 'at most 63 lower-case letters, digits and dashes, no dash at either end',
  });
}

/** An empty name keeps the default, as in buildx. */
export function imageOf(written: WrittenOption): string | undefined {
  const { value } = written;
  if (value === '') return undefined;
  if (parseImageReference(value) !== undefined) return value;
  const problem = describeReferenceProblem(value);
  throw invalidOption({ ...written, problem, expected: imageReferenceForm });
}

export function replicasOf(written: WrittenOption): number {
  const replicas = Number(written.value);
  if (/^\d+$/.test(written.value) && replicas >= 1 && replicas <= mostReplicas) return replicas;
  throw invalidOption({
    ...written,
    problem: 'is not a number of pods',
    expected: 'a whole number of at least 1',
  });
}

/** In milliseconds, more than zero. */
export function timeoutOf(written: WrittenOption): number {
  const timeoutMs = parseGoDuration(written.value);
  if (timeoutMs !== undefined && timeoutMs <= longestWaitMs) return timeoutMs;
  const problem = timeoutMs === undefined ? 'is not a duration' : 'is longer than 596h';
  throw invalidOption({ ...written, problem, expected: durationForm });
}

/** In milliseconds; zero is `0` or has a unit. */
export function drainTimeoutOf(written: WrittenOption): number {
  return /^0(?:ns|us|µs|ms|s|m|h)?$/.test(written.value) ? 0 : timeoutOf(written);
}

/** A boolean as Go reads it. */
export function booleanOf(written: WrittenOption): boolean {
  const value = parseGoBoolean(written.value);
  if (value !== undefined) return value;
  throw invalidOption({ ...written, problem: 'is not a boolean', expected: 'true or false' });
}

/** One of a few words, in any letter case. */
export function wordOf<T extends string>(words: readonly T[], written: WrittenOption): T {
  const found = words.find((word) => word.toLowerCase() === written.value.toLowerCase());
  if (found !== undefined) return found;
  throw invalidOption({
    ...written,
    problem: 'is not a known value',
    expected: words.join(', '),
    hint: didYouMean(written.value, words),
  });
}

/** The name of an object; empty keeps the default, as in buildx. */
export function objectNameOf(
  what: string,
  written: { readonly option: ScalarOptionName | 'image-pull-secrets'; readonly value: string },
): string | undefined {
  if (written.value === '') return undefined;
  if (isDnsSubdomain(written.value)) return written.value;
  const problem = `is not a name of a ${what}`;
  throw invalidOption({ ...written, problem, expected: dnsSubdomainForm });
}
