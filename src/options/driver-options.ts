/**
 * `driver-opts` → `KubernetesDriverOptions`.
 *
 * Names and meaning follow the kubernetes driver of docker/buildx (driver/kubernetes/factory.go),
 * except that keys may be in any letter case and that all values are checked here.
 */
import { invalidInput, notSupportedYet } from './errors.ts';
import { driverOptionEntries, type DriverOptionEntry } from './driver-option-entries.ts';
import { durationForm, parseGoDuration } from './go-duration.ts';
import {
  describeReferenceProblem,
  imageReferenceForm,
  parseImageReference,
} from './image-reference.ts';
import type { InputReader } from './input-reader.ts';
import { nearestName } from './nearest-name.ts';
import { driverOptionsNotSupportedYet } from './not-supported-yet.ts';
import type { KubernetesDriverOptions } from './options.ts';
import { parseResources, resourceOptionNames } from './resources.ts';

const input = 'driver-opts';
const defaultTimeoutMs = 120_000;
const mostReplicas = 2 ** 31 - 1;
/** Timers of Node cannot wait longer. */
const longestWaitMs = 2 ** 31 - 1;

const supported: ReadonlySet<string> = new Set([
  'image',
  'namespace',
  'replicas',
  'timeout',
  ...resourceOptionNames,
]);

/** Parses `driver-opts`; the last of equal names wins. */
export function parseDriverOptions(reader: InputReader): KubernetesDriverOptions {
  const { problems } = reader;
  const given = new Map<string, string>();
  for (const entry of problems.guard([], () => driverOptionEntries(reader))) {
    problems.guard(undefined, () => {
      checkName(entry);
      if (supported.has(entry.name)) given.set(entry.name, scalar(entry));
    });
  }
  const parse = <T>(name: string, fallback: T, parseValue: (value: string) => T): T => {
    const value = given.get(name);
    return value === undefined ? fallback : problems.guard(fallback, () => parseValue(value));
  };
  return {
    namespace: parse<string | undefined>('namespace', undefined, parseNamespace),
    image: parse<string | undefined>('image', undefined, parseImage),
    imagePullPolicy: undefined,
    imagePullSecrets: [],
    replicas: parse('replicas', 1, parseReplicas),
    mode: 'privileged',
    ...parseResources(given, problems),
    stateVolume: { kind: 'empty-dir' },
    nodeSelector: {},
    tolerations: [],
    serviceAccount: undefined,
    schedulerName: undefined,
    annotations: {},
    labels: {},
    env: {},
    qemuImage: undefined,
    loadBalance: 'sticky',
    defaultLoad: false,
    drainTimeoutMs: undefined,
    timeoutMs: parse('timeout', defaultTimeoutMs, parseTimeout),
    timeoutIsExplicit: given.has('timeout'),
  };
}

/** Throws unless the option is known and can be done. */
function checkName({ name, value }: DriverOptionEntry): void {
  if (supported.has(name)) return;
  const family = [name, ...ancestors(name)].find((each) => driverOptionsNotSupportedYet.has(each));
  if (family === undefined) {
    const known = [...supported, ...driverOptionsNotSupportedYet.keys()];
    const nearest = nearestName(name, known);
    throw invalidInput({
      input,
      value: name,
      problem: 'is not a driver option',
      hint:
        nearest === undefined
          ? `Known are ${known.sort().join(', ')}.`
          : `Did you mean \`${nearest}\`?`,
    });
  }
  const harmless = family === name ? driverOptionsNotSupportedYet.get(name) : undefined;
  if (value === undefined || harmless?.includes(value) !== true) {
    throw notSupportedYet(`driver option \`${name}\``, `Remove it from \`${input}\`.`);
  }
}

/** `a.b` and `a` for `a.b.c`. */
function ancestors(name: string): string[] {
  const parts = name.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, -1 - index).join('.'));
}

function scalar({ name, value }: DriverOptionEntry): string {
  if (value !== undefined) return value;
  throw invalidInput({ input, value: name, problem: 'has a list', expected: 'one value' });
}

function parseNamespace(value: string): string {
  if (value.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(value)) return value;
  throw invalidInput({
    input,
    value: `namespace=${value}`,
    problem: 'is not a name of a namespace',
    expected: 'at most 63 lower-case letters, digits and dashes, no dash at either end',
  });
}

/** An empty name keeps the default, as in buildx. */
function parseImage(value: string): string | undefined {
  if (value === '') return undefined;
  if (parseImageReference(value) !== undefined) return value;
  throw invalidInput({
    input,
    value: `image=${value}`,
    problem: describeReferenceProblem(value),
    expected: imageReferenceForm,
  });
}

function parseReplicas(value: string): number {
  const replicas = Number(value);
  if (/^\d+$/.test(value) && replicas >= 1 && replicas <= mostReplicas) return replicas;
  throw invalidInput({
    input,
    value: `replicas=${value}`,
    problem: 'is not a number of pods',
    expected: 'a whole number of at least 1',
  });
}

function parseTimeout(value: string): number {
  const timeoutMs = parseGoDuration(value);
  if (timeoutMs !== undefined && timeoutMs <= longestWaitMs) return timeoutMs;
  throw invalidInput({
    input,
    value: `timeout=${value}`,
    problem: timeoutMs === undefined ? 'is not a duration' : 'is longer than 596h',
    expected: durationForm,
  });
}
