import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A row of the table of rights in the README. */
export interface ReadmeRight {
  /** When, such as `always` or `better`. */
  readonly needed: string;
  readonly verbs: readonly string[];
  readonly resource: string;
  /** What it is for or, where it is only better to have, what is lost without it. */
  readonly text: string;
}

/** The table of rights in the README, in its order. */
export function readReadmeRights(): ReadmeRight[] {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  const [, section = ''] = readme.split(/^## Rights$/m);
  const lines = (section.split(/^## /m)[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => {
    const [needed = '', verbs = '', resource = '', text = ''] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    return { needed, verbs: quoted(verbs), resource: quoted(resource)[0] ?? '', text };
  });
}

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}
