import { parseDocument } from 'yaml';
import { invalidInput } from './errors.ts';

/** YAML with every scalar as the text that was written: `1.10` and `on` stay what they are. */
export type YamlTree = string | readonly YamlTree[] | YamlMap;
export type YamlMap = ReadonlyMap<string, YamlTree>;

/**
 * Parses YAML whose top level must be a map; of equal keys the last wins.
 *
 * Throws an `InputError` that tells the line and none of the text, which may hold secrets.
 */
export function parseYamlMap(input: string, text: string): YamlMap {
  const expected = 'a YAML map';
  const tree = parseYaml(input, text, expected);
  if (!isYamlMap(tree)) throw invalidInput({ input, problem: 'is not a map', expected });
  return tree;
}

/** The same for a list. */
export function parseYamlList(input: string, text: string): readonly YamlTree[] {
  const expected = 'a YAML list';
  const tree = parseYaml(input, text, expected);
  if (typeof tree === 'string' || isYamlMap(tree)) {
    throw invalidInput({ input, problem: 'is not a list', expected });
  }
  return tree;
}

function parseYaml(input: string, text: string, expected: string): YamlTree {
  const document = parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line;
    const where = line === undefined ? '' : ` (line ${line})`;
    throw invalidInput({ input, problem: `is not valid YAML${where}`, expected });
  }
  return toTree(
    input,
    toPlain(input, () => document.toJS({ mapAsMap: true }) as unknown),
  );
}

/** Whether the first line that says something is `key: …` or opens a map. */
export function looksLikeYamlMap(text: string): boolean {
  const first = text.split(/[\r\n]+/).find((line) => !/^\s*(?:#|---|$)/.test(line)) ?? '';
  return /^\s*(?:\{|["']?[\w./-]+["']?\s*:(?:\s|$))/.test(first);
}

/** Tells a map from a text or a list. */
export function isYamlMap(tree: YamlTree | undefined): tree is YamlMap {
  return tree instanceof Map;
}

/** Resolving aliases fails where they are cyclic or multiply without end. */
function toPlain(input: string, resolve: () => unknown): unknown {
  try {
    return resolve();
  } catch {
    throw invalidInput({ input, problem: 'has aliases that cannot be resolved' });
  }
}

/** No input nests deeper; a map that contains itself through an alias does. */
const deepest = 10;

function toTree(input: string, value: unknown, depth = 0): YamlTree {
  if (depth > deepest) throw invalidInput({ input, problem: 'is nested too deeply' });
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((element) => toTree(input, element, depth + 1));
  if (value instanceof Map) {
    return new Map(
      [...(value as Map<unknown, unknown>)].map(([key, child]) => {
        if (typeof key !== 'string') {
          throw invalidInput({ input, problem: 'has a key that is not a text' });
        }
        return [key, toTree(input, child, depth + 1)];
      }),
    );
  }
  throw invalidInput({ input, problem: 'has a value that is neither text, list nor map' });
}
