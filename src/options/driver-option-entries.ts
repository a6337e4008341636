/** From the text, or the YAML, of `driver-opts` to values by option. */
import { parseCsvFields } from './csv-fields.ts';
import {
  driverOptionNames,
  driverOptionOf,
  type DriverOptionName,
  invalidOption,
  listOptionNames,
  mapOptionNames,
} from './driver-option-names.ts';
import { invalidInput } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { parseRawLineList } from './list-modes.ts';
import { didYouMean } from './nearest-name.ts';
import type { Problems } from './problems.ts';
import { isYamlMap, looksLikeYamlMap, parseYamlMap, type YamlTree } from './yaml-tree.ts';

/** One driver option as it was written. */
export interface DriverOptionEntry {
  readonly name: string;
  readonly value: YamlTree;
  /** What is likely wrong if the name is unknown. */
  readonly hint?: string | undefined;
}

/** All values that were given for an option, in the order they were written. */
export type GivenDriverOptions = ReadonlyMap<DriverOptionName, readonly YamlTree[]>;

const input = 'driver-opts';

/**
 * The entries in the order they were written: several per line and several lines of `key=value`,
 * each line CSV, or one YAML map.
 */
export function driverOptionEntries(reader: InputReader): DriverOptionEntry[] {
  const { problems } = reader;
  const text = reader.string(input);
  if (looksLikeYamlMap(text)) {
    return problems.guard([], () => entriesOfTree(parseYamlMap(input, text), problems));
  }
  return reader.rawLineList(input).flatMap((line) => entriesOfLine(line, problems));
}

/** The same from YAML that holds them: a map, a text, or a list of texts and maps. */
export function entriesOfTree(tree: YamlTree, problems: Problems): DriverOptionEntry[] {
  if (isYamlMap(tree)) return [...tree].map(([name, value]) => ({ name: name.trim(), value }));
  if (typeof tree !== 'string') return tree.flatMap((each) => entriesOfTree(each, problems));
  return parseRawLineList(tree).flatMap((line) => entriesOfLine(line, problems));
}

/**
 * Gathers the values of each option; what is not known goes to `problems`.
 *
 * `offered`: the names to tell then; by default all.
 */
export function gatherDriverOptions(
  entries: readonly DriverOptionEntry[],
  problems: Problems,
  offered: readonly string[] = driverOptionNames,
): GivenDriverOptions {
  const given = new Map<DriverOptionName, YamlTree[]>();
  const unknown: DriverOptionEntry[] = [];
  for (const entry of entries) {
    for (const [name, value] of recognise(entry, unknown)) {
      given.set(name, [...(given.get(name) ?? []), value]);
    }
  }
  reportUnknown(unknown, { problems, offered });
  return given;
}

function recognise(
  { name, value, hint }: DriverOptionEntry,
  unknown: DriverOptionEntry[],
): [DriverOptionName, YamlTree][] {
  const known = driverOptionOf(name);
  if (known !== undefined) return [[known, value]];
  // The name of a variable keeps its letter case.
  if (/^env\./i.test(name)) return [['env', new Map([[name.slice('env.'.length), value]])]];
  const isGroup = membersOf(name).length > 0;
  if (isGroup && isYamlMap(value)) {
    return [...value].flatMap(([key, child]) =>
      recognise({ name: `${name}.${key.trim()}`, value: child }, unknown),
    );
  }
  unknown.push({ name, value, hint });
  return [];
}

function membersOf(name: string): DriverOptionName[] {
  return driverOptionNames.filter((each) => each.startsWith(`${name.toLowerCase()}.`));
}

/** All names are told once, not with each one that is like none of them. */
function reportUnknown(
  entries: readonly DriverOptionEntry[],
  { problems, offered }: { readonly problems: Problems; readonly offered: readonly string[] },
): void {
  const problem = 'is not a driver option';
  let isListed = false;
  for (const { name: option, hint = guessAt(option, offered) } of entries) {
    if (hint !== undefined || isListed) problems.add(invalidOption({ option, problem, hint }));
    else {
      isListed = true;
      const list = `Known are ${offered.join(', ')}.`;
      problems.add(invalidOption({ option, problem, hint: list }));
    }
  }
}

/** What docker-container has instead, and people write for pods too. */
const ofDockerContainer: ReadonlyMap<string, string> = new Map([
  ['cpu-period', 'limits.cpu'],
  ['cpu-quota', 'limits.cpu'],
  ['cpu-shares', 'requests.cpu'],
  ['cpus', 'limits.cpu'],
  ['memory', 'limits.memory'],
]);

function guessAt(name: string, offered: readonly string[]): string | undefined {
  const members = membersOf(name).filter((each) => offered.includes(each));
  if (members.length > 0) return `Known are ${members.join(', ')}.`;
  const ofPods = ofDockerContainer.get(name.toLowerCase());
  if (ofPods !== undefined && offered.includes(ofPods)) return `For pods it is \`${ofPods}\`.`;
  return didYouMean(name, offered);
}

function entriesOfLine(line: string, problems: Problems): DriverOptionEntry[] {
  const fields = problems.guard([], () => parseCsvFields(input, line));
  return problems.guardEach(fields, (field, index) => keyValue(field, fields.slice(0, index)));
}

function keyValue(field: string, before: readonly string[]): DriverOptionEntry {
  const hint = quotingHint(before);
  const equals = field.indexOf('=');
  if (equals < 1) {
    // What follows a variable may be the second half of a secret.
    const value = before.some((each) => /^\s*env\b/i.test(each)) ? undefined : field;
    const problem = value === undefined ? 'has a field that is not an option' : 'is not an option';
    throw invalidInput({ input, ...(value && { value }), problem, expected: 'key=value', hint });
  }
  return { name: field.slice(0, equals).trim(), value: field.slice(equals + 1).trim(), hint };
}

const withCommas = new Set<string | undefined>([...mapOptionNames, ...listOptionNames]);

/** An option whose value may have commas, and was not quoted, goes on as if it were the next one. */
function quotingHint(before: readonly string[]): string | undefined {
  const names = before.map((field) => field.slice(0, field.indexOf('=')).trim());
  const name = names.findLast(
    (each) => withCommas.has(driverOptionOf(each)) || /^env\./i.test(each),
  );
  if (name === undefined) return undefined;
  return `If this belongs to \`${name}\`, put quotes around the whole field: "${name}=…,…".`;
}
