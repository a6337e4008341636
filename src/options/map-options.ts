/** The driver options that are maps: `annotations`, `env`, `labels`, `nodeselector`. */
import { invalidOption, type MapOptionName } from './driver-option-names.ts';
import { quote } from './errors.ts';
import {
  isLabelValue,
  isQualifiedName,
  labelValueForm,
  qualifiedNameForm,
} from './kubernetes-names.ts';
import type { KubernetesDriverOptions } from './options.ts';
import type { Problems } from './problems.ts';
import { isYamlMap, type YamlTree } from './yaml-tree.ts';

type Given = ReadonlyMap<string, readonly YamlTree[]>;
type Pair = readonly [key: string, value: string];
type Check = (option: MapOptionName, pair: Pair) => void;

/** Labels and annotations by which this action and buildx know their objects. */
const reserved = new Set([
  'app.kubernetes.io/component',
  'app.kubernetes.io/instance',
  'app.kubernetes.io/managed-by',
  'buildx.docker.com/platform',
]);
const reservedPrefix = 'kube-buildx-action/';

/** All four; of equal keys the last wins, different ones add up. */
export function parseMapOptions(
  given: Given,
  problems: Problems,
): Pick<KubernetesDriverOptions, 'annotations' | 'env' | 'labels' | 'nodeSelector'> {
  const read = (option: MapOptionName, checks: readonly Check[]): Record<string, string> => {
    const trees = given.get(option) ?? [];
    const pairs = trees.flatMap((tree) => problems.guard([], () => pairsOf(option, tree)));
    const checked = problems.guardEach(pairs, (pair) => {
      for (const check of checks) check(option, pair);
      return pair;
    });
    return Object.fromEntries(checked);
  };
  return {
    annotations: read('annotations', [checkKey, checkReserved]),
    env: read('env', [checkVariable]),
    labels: read('labels', [checkKey, checkReserved, checkLabelValue]),
    nodeSelector: read('nodeselector', [checkKey, checkLabelValue]),
  };
}

function pairsOf(option: MapOptionName, tree: YamlTree): Pair[] {
  if (typeof tree === 'string') return pairsOfText(option, tree);
  if (!isYamlMap(tree)) {
    const expected = `a map, or \`${option}=key=value,key=value\``;
    throw invalidOption({ option, problem: 'has a list', expected });
  }
  return [...tree].map(([key, value]) => {
    if (typeof value === 'string') return [key.trim(), value];
    const problem = `has a ${isYamlMap(value) ? 'map' : 'list'}`;
    throw invalidOption({ option: `${option}.${key}`, problem, expected: 'one text' });
  });
}

/**
 * `key=value,key=value`, as at buildx; also one pair per line, and quotes around single pairs.
 *
 * What follows a comma and has no `=` is part of the value before it.
 */
function pairsOfText(option: MapOptionName, text: string): Pair[] {
  return withoutOuterQuotes(text)
    .split(/\r?\n/)
    .flatMap((line) => pairsOfLine(option, line));
}

function pairsOfLine(option: MapOptionName, line: string): Pair[] {
  const pairs: [string, string][] = [];
  for (const piece of splitAtCommas(line)) {
    const equals = piece.indexOf('=');
    const last = pairs.at(-1);
    if (equals >= 1) pairs.push([piece.slice(0, equals).trim(), piece.slice(equals + 1).trim()]);
    else if (piece.trim() === '') continue;
    else if (last === undefined || equals === 0) throw noPair(option, piece);
    else last[1] += `,${piece}`;
  }
  return pairs;
}

function noPair(option: MapOptionName, piece: string) {
  // A piece of a variable may be a secret.
  const value = option === 'env' ? undefined : piece.trim();
  return invalidOption({ option, value, problem: 'is no pair', expected: `${option}=key=value` });
}

/** Quotes that belong to the whole value, as documented for shells. */
export function withoutOuterQuotes(text: string): string {
  return /^"[^"]*"$/.test(text) ? text.slice(1, -1) : text;
}

/** Quotes around a piece keep its commas; any others are part of it. */
function splitAtCommas(line: string): string[] {
  const pieces = line.matchAll(/(?:^|,)(?:\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))/g);
  return [...pieces].map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain);
}

function checkKey(option: MapOptionName, [key, value]: Pair): void {
  // Annotations may have the key in capitals, which the server compares in small letters.
  if (isQualifiedName(option === 'annotations' ? key.toLowerCase() : key)) return;
  const problem = `has the key ${quote(key)}, which is not allowed`;
  throw invalidOption({ option, value: `${key}=${value}`, problem, expected: qualifiedNameForm });
}

function checkLabelValue(option: MapOptionName, [key, value]: Pair): void {
  if (isLabelValue(value)) return;
  const problem = 'has a value that is not allowed';
  throw invalidOption({ option, value: `${key}=${value}`, problem, expected: labelValueForm });
}

function checkReserved(option: MapOptionName, [key, value]: Pair): void {
  if (!reserved.has(key) && !key.startsWith(reservedPrefix)) return;
  throw invalidOption({
    option,
    value: `${key}=${value}`,
    problem: 'is reserved: by it this action knows what is its own',
    hint: `Use another key than ${quote(key)}.`,
  });
}

/** Follows `IsEnvVarName` of kubernetes/apimachinery, which all versions of the server accept. */
function checkVariable(_: MapOptionName, [key]: Pair): void {
  if (/^[-._A-Za-z][-._A-Za-z0-9]*$/.test(key) && key !== '.' && !key.startsWith('..')) return;
  throw invalidOption({
    option: `env.${key}`,
    problem: 'is not a name of a variable',
    expected: 'letters, digits, `_`, `-` and `.`, no digit at the start, such as env.HTTP_PROXY',
  });
}
