/**
 * The input `append`: further nodes of a builder, each with platforms of its own.
 *
 * Items are those of docker/setup-buildx-action, with a few keys of ours; what an item does not say
 * it has from the first node.
 */
import { equals } from './builder-node.ts';
import { parseBuildkitdFlags } from './buildkitd-flags.ts';
import {
  entriesOfTree,
  gatherDriverOptions,
  type GivenDriverOptions,
} from './driver-option-entries.ts';
import { inheritDriverOptions, parseDriverOptions } from './driver-options.ts';
import { InputError, invalidInput, quote } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { parseCommaList } from './list-modes.ts';
import { didYouMean } from './nearest-name.ts';
import type { BuilderOptions, Platform } from './options.ts';
import { parsePlatformList } from './platform-list.ts';
import { formatPlatform } from './platforms.ts';
import { parsePodTemplate } from './pod-template.ts';
import { isJsonMap, type JsonMap, parseManifest } from './yaml-manifest.ts';
import type { Problems } from './problems.ts';
import { onlyForPods, parseRemoteNode } from './remote-endpoint.ts';
import type { World } from './world.ts';
import { isYamlMap, parseYamlList, type YamlMap, type YamlTree } from './yaml-tree.ts';

const input = 'append';
const keys = [
  'name',
  'platforms',
  'driver-opts',
  'buildkitd-flags',
  'endpoint',
  'kubeconfig',
  'kube-context',
  'pod-template',
];
const keysOfPods = ['buildkitd-flags', 'kubeconfig', 'kube-context', 'pod-template'];

interface FirstNode {
  readonly options: BuilderOptions;
  readonly given: GivenDriverOptions;
}

interface Facts {
  readonly world: World;
  /** Those that the build asks for. */
  readonly entitlements: readonly string[];
  readonly first: FirstNode;
}

/** Whole options of each further node; problems name the item. */
export function parseAppend(reader: InputReader, facts: Facts): BuilderOptions[] {
  const text = reader.string(input);
  if (text === '') return [];
  const { problems } = reader;
  const items = problems.guard([], () => parseYamlList(input, text));
  const nodes = items.map((item, index) =>
    problems.within({ input, part: partOf(item, index) }, (inner) =>
      inner.guard(undefined, () => {
        const place = { index: index + 1, problems: inner, typed: () => typedItem(text, index) };
        return parseItem(item, { ...facts, ...place });
      }),
    ),
  );
  refuseSharedPlatforms([facts.first.options, ...nodes], problems);
  return nodes.filter((node) => node !== undefined);
}

function partOf(item: YamlTree, index: number): string {
  const name = isYamlMap(item) ? item.get('name') : undefined;
  const called = typeof name === 'string' && name !== '' ? ` (${quote(name)})` : '';
  return `item ${index + 1}${called}`;
}

interface ItemFacts extends Facts {
  /** Of the node among all of the builder, from 0 for the first. */
  readonly index: number;
  readonly problems: Problems;
  /** The same item with the types that manifests have. */
  readonly typed: () => JsonMap;
}

function parseItem(item: YamlTree, facts: ItemFacts): BuilderOptions {
  const { first, world, problems } = facts;
  if (!isYamlMap(item)) {
    throw invalidInput({
      input,
      problem: 'is not a map',
      expected: 'platforms: …, driver-opts: …',
    });
  }
  for (const key of item.keys()) {
    problems.guard(undefined, () => {
      checkKey(key);
    });
  }
  const platforms = problems.guard([], () => platformsOf(item, facts));
  const endpoint = problems.guard(undefined, () => textOf(item, 'endpoint'));
  if (endpoint === undefined && first.options.remote !== undefined) {
    problems.add(wrongItem('has no `endpoint`', 'one, since the first node is remote'));
  }
  const common = { ...first.options, platforms };
  if (endpoint === undefined) return { ...common, ...podNode(item, facts) };
  for (const key of keysOfPods.filter((each) => item.has(each))) {
    problems.add(onlyForPods(`\`${key}\``));
  }
  const entries = entriesOfTree(item.get('driver-opts') ?? '', problems);
  return {
    ...common,
    ...parseRemoteNode({ endpoint, entries, index: facts.index, world, problems }),
  };
}

/** What differs between two nodes that are pods. */
function podNode(item: YamlMap, facts: ItemFacts): Partial<BuilderOptions> {
  const { first, entitlements, problems } = facts;
  const own = gatherDriverOptions(entriesOfTree(item.get('driver-opts') ?? '', problems), problems);
  const read = (key: string) => problems.guard(undefined, () => textOf(item, key));
  const flags = read('buildkitd-flags');
  const kubeconfig = read('kubeconfig');
  const kubeContext = read('kube-context');
  return {
    driver: parseDriverOptions(inheritDriverOptions(first.given, own), problems),
    ...(flags !== undefined &&
      problems.guard<Partial<BuilderOptions>>({}, () => flagsOf(flags, entitlements))),
    // A context belongs to its kubeconfig.
    ...(kubeconfig !== undefined && { kubeconfig, kubeContext }),
    ...(kubeContext !== undefined && { kubeContext }),
    ...(item.has('pod-template') && {
      podTemplate: problems.guard(undefined, () => templateOf(item, facts)),
    }),
  };
}

function templateOf(item: YamlMap, { typed, world }: ItemFacts): BuilderOptions['podTemplate'] {
  const given = item.get('pod-template');
  if (typeof given !== 'string') return parsePodTemplate(typed()['pod-template'], world);
  return given === '' ? undefined : parsePodTemplate(given, world);
}

function typedItem(text: string, index: number): JsonMap {
  const items = parseManifest(input, text);
  const item: unknown = Array.isArray(items) ? items[index] : undefined;
  return isJsonMap(item) ? item : {};
}

function flagsOf(
  text: string,
  entitlements: readonly string[],
): Pick<BuilderOptions, 'buildkitdFlags' | 'entitlements'> {
  const own = parseBuildkitdFlags(text);
  const all = new Set([...entitlements, ...own.entitlements]);
  return { buildkitdFlags: own.flags, entitlements: [...all] };
}

function checkKey(key: string): void {
  if (keys.includes(key)) return;
  const problem = `has the unknown key ${quote(key)}`;
  throw wrongItem(problem, keys.join(', '), didYouMean(key, keys));
}

/** Comma lists or YAML lists; without any the node would never be chosen. */
function platformsOf(item: YamlMap, { world, problems }: ItemFacts): Platform[] {
  const given = item.get('platforms') ?? '';
  if (isYamlMap(given)) throw wrongItem('has a map of `platforms`', platformsForm);
  const texts = (typeof given === 'string' ? [given] : given).flatMap((each) => {
    if (typeof each === 'string') return parseCommaList(each);
    throw wrongItem('has `platforms` that are no texts', platformsForm);
  });
  if (texts.length === 0) throw wrongItem('has no `platforms`', platformsForm);
  return parsePlatformList(texts, { input, runner: world.runnerPlatform, problems });
}

const platformsForm = 'the platform that this node builds, such as platforms: linux/arm64';

function textOf(item: YamlMap, key: string): string | undefined {
  const value = item.get(key) ?? '';
  if (typeof value === 'string') return value.trim() === '' ? undefined : value.trim();
  throw wrongItem(`has a \`${key}\` that is not a text`, 'one text');
}

/** Every platform has one node; the peer takes it from the earlier one without a word. */
function refuseSharedPlatforms(
  nodes: readonly (BuilderOptions | undefined)[],
  problems: Problems,
): void {
  nodes.forEach((node, index) => {
    for (const platform of node?.platforms ?? []) {
      const other = nodes
        .slice(0, index)
        .findIndex((each) => each?.platforms.some((known) => equals(known, platform)));
      if (other < 0) continue;
      const owner = other === 0 ? 'the first node' : `item ${other}`;
      problems.add(
        new InputError(
          'INPUT_CONTRADICTION',
          `input \`${input}\`: item ${index} has the platform \`${formatPlatform(platform)}\` of ${owner}`,
          { hint: 'Give each node platforms of its own; `replicas` makes several pods for one.' },
        ),
      );
    }
  });
}

function wrongItem(problem: string, expected: string, hint?: string): InputError {
  return invalidInput({ input, problem, expected, hint });
}
