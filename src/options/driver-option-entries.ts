import { parseCsvFields } from './csv-fields.ts';
import { invalidInput } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { isYamlMap, parseYamlMap, type YamlMap } from './yaml-tree.ts';

/** One driver option as it was written. */
export interface DriverOptionEntry {
  /** Lower case; nested maps joined by dots. */
  readonly name: string;
  /** Undefined when YAML gave a list. */
  readonly value: string | undefined;
}

const input = 'driver-opts';

/**
 * The options in the order they were written: several per line and several lines of `key=value`,
 * each line CSV, or one YAML map.
 */
export function driverOptionEntries(reader: InputReader): DriverOptionEntry[] {
  const text = reader.string(input);
  if (isYaml(text)) return flatten(parseYamlMap(input, text), '');
  const { problems } = reader;
  return reader
    .rawLineList(input)
    .flatMap((line) => problems.guard<string[]>([], () => parseCsvFields(input, line)))
    .flatMap((field) => problems.guard<DriverOptionEntry[]>([], () => [keyValue(field)]));
}

/** Whether the first line that says something is `key: …` or opens a map. */
function isYaml(text: string): boolean {
  const first = text.split(/[\r\n]+/).find((line) => !/^\s*(?:#|$)/.test(line)) ?? '';
  return /^\s*(?:\{|"?[\w./-]+"?\s*:(?:\s|$))/.test(first);
}

function keyValue(field: string): DriverOptionEntry {
  const equals = field.indexOf('=');
  if (equals < 1) {
    throw invalidInput({ input, value: field, problem: 'is not an option', expected: 'key=value' });
  }
  return {
    name: field.slice(0, equals).trim().toLowerCase(),
    value: field.slice(equals + 1).trim(),
  };
}

function flatten(map: YamlMap, prefix: string): DriverOptionEntry[] {
  return [...map].flatMap(([key, value]) => {
    const name = `${prefix}${key.trim().toLowerCase()}`;
    if (isYamlMap(value)) return flatten(value, `${name}.`);
    return [{ name, value: typeof value === 'string' ? value.trim() : undefined }];
  });
}
