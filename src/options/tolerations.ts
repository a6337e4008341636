/** The driver option `tolerations`, in the text form of buildx or as in a pod. */
import { invalidOption } from './driver-option-names.ts';
import { type InputError, quote } from './errors.ts';
import {
  isLabelValue,
  isQualifiedName,
  labelValueForm,
  qualifiedNameForm,
} from './kubernetes-names.ts';
import { withoutOuterQuotes } from './map-options.ts';
import { didYouMean } from './nearest-name.ts';
import type { Toleration } from './options.ts';
import type { Problems } from './problems.ts';
import { isYamlMap, type YamlMap, type YamlTree } from './yaml-tree.ts';

const option = 'tolerations';
const form =
  '`key=…,operator=…,value=…,effect=…,tolerationSeconds=…`, several separated by `;`, or a YAML list';
const fields = ['key', 'operator', 'value', 'effect', 'tolerationSeconds'] as const;
type Field = (typeof fields)[number];

const operators = ['Equal', 'Exists'] as const;
const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;

/** All that were given, in their order; blank items are left out. */
export function parseTolerations(trees: readonly YamlTree[], problems: Problems): Toleration[] {
  const items = trees.flatMap((tree) => problems.guard([], () => itemsOf(tree)));
  return problems.guardEach(items, toleration);
}

type Item = ReadonlyMap<Field, string>;

function itemsOf(tree: YamlTree): Item[] {
  if (isYamlMap(tree)) return [itemOfMap(tree)];
  if (typeof tree !== 'string') return tree.flatMap(itemsOf);
  return withoutOuterQuotes(tree)
    .split(/[;\r\n]+/)
    .filter((item) => item.trim() !== '')
    .map((item) => new Map(item.split(',').map((field) => fieldOf(field, item.trim()))));
}

function fieldOf(text: string, item: string): [Field, string] {
  const equals = text.indexOf('=');
  if (equals < 1) {
    const problem = `has the field ${quote(text.trim())}, which has no \`=\``;
    throw wrong(item, problem, form);
  }
  return [fieldName(text.slice(0, equals), item), text.slice(equals + 1).trim()];
}

function itemOfMap(map: YamlMap): Item {
  return new Map(
    [...map].map(([key, value]): [Field, string] => {
      if (typeof value === 'string') return [fieldName(key, key), value.trim()];
      throw wrong(key, 'is not one value', form);
    }),
  );
}

function fieldName(written: string, item: string): Field {
  const name = written.trim().toLowerCase();
  const known = fields.find((field) => field.toLowerCase() === name);
  if (known !== undefined) return known;
  throw wrong(
    item,
    `has the unknown field ${quote(written.trim())}`,
    form,
    didYouMean(name, fields),
  );
}

/** Follows `ValidateTolerations` of kubernetes (pkg/apis/core/validation). */
function toleration(item: Item): Toleration {
  const text = [...item].map(([field, value]) => `${field}=${value}`).join(',');
  const key = nonEmpty(item.get('key'));
  const value = nonEmpty(item.get('value'));
  const operator = oneOf(operators, { field: 'operator', given: item.get('operator'), text });
  const effect = oneOf(effects, { field: 'effect', given: item.get('effect'), text });
  const tolerationSeconds = seconds(item.get('tolerationSeconds'), text);
  if (key !== undefined && !isQualifiedName(key)) {
    throw wrong(text, `has the key ${quote(key)}, which is not allowed`, qualifiedNameForm);
  }
  if (key === undefined && operator !== 'Exists') {
    throw wrong(text, 'has no key', 'a key, or `operator=Exists` to tolerate everything');
  }
  if (operator === 'Exists' && value !== undefined) {
    throw wrong(text, 'has a value beside `operator=Exists`', 'one of the two');
  }
  if (!isLabelValue(value ?? '')) {
    throw wrong(text, 'has a value that is not allowed', labelValueForm);
  }
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
    throw wrong(text, 'has `tolerationSeconds` without `effect=NoExecute`', 'both or neither');
  }
  return {
    ...(key !== undefined && { key }),
    ...(operator !== undefined && { operator }),
    ...(value !== undefined && { value }),
    ...(effect !== undefined && { effect }),
    ...(tolerationSeconds !== undefined && { tolerationSeconds }),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function oneOf<T extends string>(
  words: readonly T[],
  { field, given = '', text }: { field: string; given: string | undefined; text: string },
): T | undefined {
  if (given === '') return undefined;
  const found = words.find((word) => word.toLowerCase() === given.toLowerCase());
  if (found !== undefined) return found;
  throw wrong(text, `has the unknown ${field} ${quote(given)}`, words.join(', '));
}

/** The server keeps them in 64 bits; a number of JavaScript is exact long enough. */
function seconds(given: string | undefined, text: string): number | undefined {
  if (given === undefined || given === '') return undefined;
  const value = Number(given);
  if (/^-?\d+$/.test(given) && Number.isSafeInteger(value)) return value;
  throw wrong(text, `has the \`tolerationSeconds\` ${quote(given)}`, 'whole seconds such as 300');
}

function wrong(value: string, problem: string, expected: string, hint?: string): InputError {
  return invalidOption({ option, value, problem, expected, hint });
}
