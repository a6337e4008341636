/**
 * Writes the tables of inputs and outputs in `README.md` and `docs/setup.md` from the `action.yml` of
 * each action, or with `--check` says whether they are what it gives.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

import { outputNames, outputsNotSupportedYet } from '../src/action/outputs.ts';
import { inputsNotSupportedYet } from '../src/options/not-supported-yet.ts';

const root = join(import.meta.dirname, '..');
const pages = { 'README.md': 'action.yml', 'docs/setup.md': 'setup/action.yml' };

for (const [page, action] of Object.entries(pages)) {
  const path = join(root, page);
  const current = readFileSync(path, 'utf8');
  const wanted = await withTables(current, { path, action });
  if (!process.argv.includes('--check')) writeFileSync(path, wanted);
  else if (current !== wanted) {
    console.error(`${page} is not what ${action} gives; run scripts/readme-tables.ts`);
    process.exitCode = 1;
  }
}

async function withTables(
  text: string,
  { path, action }: { readonly path: string; readonly action: string },
): Promise<string> {
  const document = parseDocument(readFileSync(join(root, action), 'utf8'));
  const tables = { inputs: inputTables(mapAt('inputs')), outputs: outputTable(mapAt('outputs')) };
  const filled = Object.entries(tables).reduce(
    (page, [name, table]) => fill(page, name, table),
    text,
  );
  return format(filled, { ...(await resolveConfig(path)), filepath: path });

  function mapAt(name: string): YAMLMap {
    const node = document.get(name);
    if (!isMap(node)) throw new Error(`${action} has no ${name}`);
    return node;
  }
}

/** Puts a table between the two comments that carry its name. */
function fill(page: string, name: string, table: string): string {
  const between = new RegExp(`(<!-- ${name}:[^\\n]*-->)[^]*?(<!-- /${name} -->)`);
  if (!between.test(page)) throw new Error(`a page has no place for ${name}`);
  return page.replace(between, (_, start: string, end: string) => `${start}\n\n${table}\n\n${end}`);
}

/** One table for each comment between the inputs. */
function inputTables(inputs: YAMLMap): string {
  const lines: string[] = [];
  inputs.items.forEach(({ key, value }, index) => {
    if (!isScalar(key) || !isMap(value)) throw new Error('an input is not a map');
    const heading = key.commentBefore ?? (index === 0 ? inputs.commentBefore : undefined);
    if (typeof heading === 'string') {
      lines.push('', `**${heading.trim()}**`, '', '| input | default | meaning |', '|---|---|---|');
    }
    const name = String(key.value);
    const given = value.get('default');
    const fallback = typeof given === 'string' ? `\`${given}\`` : '–';
    const later = inputsNotSupportedYet.has(name);
    lines.push(`| \`${name}\` | ${fallback} | ${meaningOf(value, later)} |`);
  });
  return lines.join('\n');
}

function outputTable(outputs: YAMLMap): string {
  const rows = outputNames.flatMap((name) => {
    const output = outputs.get(name);
    if (!isMap(output)) return [];
    return [`| \`${name}\` | ${meaningOf(output, outputsNotSupportedYet.has(name))} |`];
  });
  return ['| output | meaning |', '|---|---|', ...rows].join('\n');
}

function meaningOf(entry: YAMLMap, later: boolean): string {
  const description = String(entry.get('description')).replaceAll('|', '\\|');
  return later ? `${description} (_not supported yet_)` : description;
}
