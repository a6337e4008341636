import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A row of the tables of rights in the README. */
export interface ReadmeRight {
  /** Whether nothing is begun without it, rather than something lost. */
  readonly isHard: boolean;
  /** When it is asked for, such as `to build`. */
  readonly occasion: string;
  readonly verbs: readonly string[];
  readonly resource: string;
  /** What it is for, or what is lost without it. */
  readonly text: string;
}

/** The tables of rights in the README, in their order. */
export function readReadmeRights(): ReadmeRight[] {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  const [, section = ''] = readme.split(/^## Rights$/m);
  const [hard = '', soft = ''] = (section.split(/^## /m)[0] ?? '').split(/^\| when .*lost.*$/m);
  return [...rowsOf(hard, true), ...rowsOf(soft, false)];
}

function rowsOf(text: string, isHard: boolean): ReadmeRight[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| to '))
    .map((line) => {
      const cells = line.split('|').slice(1, -1);
      const [occasion = '', verbs = '', resource = '', what = ''] = cells.map((cell) =>
        cell.trim(),
      );
      return {
        isHard,
        occasion,
        verbs: quoted(verbs),
        resource: quoted(resource)[0] ?? '',
        text: what,
      };
    });
}

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}
