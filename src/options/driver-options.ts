/**
 * `driver-opts` → `KubernetesDriverOptions`.
 *
 * Names and meaning follow the kubernetes driver of docker/buildx (driver/kubernetes/factory.go),
 * except that keys may be in any letter case and that all values are checked here.
 */
import { modeOptions, parseBuilderMode } from './builder-mode.ts';
import {
  driverOptionEntries,
  gatherDriverOptions,
  type GivenDriverOptions,
} from './driver-option-entries.ts';
import { invalidOption, type ScalarOptionName, scalarOptionNames } from './driver-option-names.ts';
import {
  booleanOf,
  drainTimeoutOf,
  imageOf,
  namespaceOf,
  objectNameOf,
  replicasOf,
  timeoutOf,
  wordOf,
  type WrittenOption,
} from './driver-option-values.ts';
import type { InputReader } from './input-reader.ts';
import { parseMapOptions } from './map-options.ts';
import type { KubernetesDriverOptions } from './options.ts';
import type { Problems } from './problems.ts';
import { parseResources } from './resources.ts';
import { parseStateVolume, stateVolumeOptions } from './state-volume.ts';
import { parseTolerations } from './tolerations.ts';
import { isYamlMap, type YamlTree } from './yaml-tree.ts';

const defaultTimeoutMs = 120_000;
const defaultQemuImage = 'tonistiigi/binfmt:latest';
const pullPolicies = ['Always', 'IfNotPresent', 'Never'] as const;
const loadBalances = ['sticky', 'random', 'least-busy', 'buildx'] as const;

/** Reads `driver-opts` without looking at the values. */
export function readDriverOptions(reader: InputReader): GivenDriverOptions {
  return gatherDriverOptions(driverOptionEntries(reader), reader.problems);
}

/** Checks the values; of several for one option the last wins, lists and maps add up. */
export function parseDriverOptions(
  given: GivenDriverOptions,
  problems: Problems,
): KubernetesDriverOptions {
  const scalars = scalarsOf(given, problems);
  const parse = <T>(
    option: ScalarOptionName,
    fallback: T,
    of: (written: WrittenOption) => T,
  ): T => {
    const value = scalars.get(option);
    return value === undefined ? fallback : problems.guard(fallback, () => of({ option, value }));
  };
  const name = (option: ScalarOptionName, what: string): string | undefined =>
    parse<string | undefined>(option, undefined, ({ value }) =>
      objectNameOf(what, { option, value }),
    );
  return {
    namespace: parse<string | undefined>('namespace', undefined, namespaceOf),
    image: parse<string | undefined>('image', undefined, imageOf),
    imagePullPolicy: parse<KubernetesDriverOptions['imagePullPolicy']>(
      'image-pull-policy',
      undefined,
      (written) => wordOf(pullPolicies, written),
    ),
    imagePullSecrets: parsePullSecrets(given, problems),
    replicas: parse('replicas', 1, replicasOf),
    mode: parseBuilderMode(scalars, problems),
    ...parseResources(scalars, problems),
    stateVolume: parseStateVolume(scalars, problems),
    ...parseMapOptions(given, problems),
    tolerations: parseTolerations(given.get('tolerations') ?? [], problems),
    serviceAccount: name('serviceaccount', 'service account'),
    schedulerName: name('schedulername', 'scheduler'),
    qemuImage: parseQemuImage(scalars, problems),
    loadBalance: parse<KubernetesDriverOptions['loadBalance']>('loadbalance', 'sticky', (written) =>
      wordOf(loadBalances, written),
    ),
    defaultLoad: parse('default-load', false, booleanOf),
    drainTimeoutMs: parse<number | undefined>('drain-timeout', undefined, drainTimeoutOf),
    timeoutMs: parse('timeout', defaultTimeoutMs, timeoutOf),
    timeoutIsExplicit: scalars.has('timeout'),
  };
}

/**
 * What a further node was given, and for the rest what the first was.
 *
 * An option that the node names is its own as a whole, except that `env` is one option per variable.
 */
export function inheritDriverOptions(
  first: GivenDriverOptions,
  own: GivenDriverOptions,
): GivenDriverOptions {
  const inherited = new Map(first);
  for (const family of [modeOptions, stateVolumeOptions]) {
    if (family.some((name) => own.has(name))) family.forEach((name) => inherited.delete(name));
  }
  const env = [...(first.get('env') ?? []), ...(own.get('env') ?? [])];
  return new Map([...inherited, ...own, ...(env.length > 0 ? [['env', env] as const] : [])]);
}

function scalarsOf(given: GivenDriverOptions, problems: Problems): Map<ScalarOptionName, string> {
  return new Map(
    scalarOptionNames.flatMap((option) => {
      const trees = given.get(option) ?? [];
      const texts = problems.guardEach(trees, (tree) => textOf(option, tree));
      return texts.slice(-1).map((text): [ScalarOptionName, string] => [option, text]);
    }),
  );
}

function textOf(option: string, tree: YamlTree): string {
  if (typeof tree === 'string') return tree.trim();
  const problem = `has a ${isYamlMap(tree) ? 'map' : 'list'}`;
  throw invalidOption({ option, problem, expected: 'one value' });
}

/** Names separated by commas, or a YAML list of them. */
function parsePullSecrets(given: GivenDriverOptions, problems: Problems): string[] {
  const option = 'image-pull-secrets';
  const texts = (given.get(option) ?? []).flatMap((tree) =>
    problems.guardEach(Array.isArray(tree) ? tree : [tree], (each: YamlTree) =>
      textOf(option, each),
    ),
  );
  const names = problems.guardEach(
    texts.flatMap((text) => text.split(/[,\r\n]+/)),
    (text) => objectNameOf('Secret', { option, value: text.trim() }),
  );
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** The image of the emulators, which are installed only where that is asked for. */
function parseQemuImage(
  scalars: ReadonlyMap<string, string>,
  problems: Problems,
): string | undefined {
  const install = scalars.get('qemu.install') ?? 'false';
  const image = scalars.get('qemu.image') ?? '';
  const isWanted = problems.guard(false, () =>
    booleanOf({ option: 'qemu.install', value: install }),
  );
  const parsed = problems.guard(undefined, () => imageOf({ option: 'qemu.image', value: image }));
  if (!isWanted && parsed !== undefined) {
    problems.warn('Driver option `qemu.image` has no effect without `qemu.install=true`.');
  }
  return isWanted ? (parsed ?? defaultQemuImage) : undefined;
}
