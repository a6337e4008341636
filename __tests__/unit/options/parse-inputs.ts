import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { parseActionOptions } from '../../../src/options/action-options.ts';
import { InputError } from '../../../src/options/errors.ts';
import { InputReader } from '../../../src/options/input-reader.ts';
import type { ActionOptions } from '../../../src/options/options.ts';
import { Problems } from '../../../src/options/problems.ts';
import type { PathKind, RawInputs, World } from '../../../src/options/world.ts';

/** The checkout that most tests parse in. */
export const files: Readonly<Record<string, PathKind>> = {
  '/work/app': 'directory',
  '/work/app/Dockerfile': 'file',
};

/** A world without variables, in the checkout `/work/app`. */
export function world(changes: Partial<World> = {}, paths = files): World {
  return {
    cwd: '/work/app',
    workspace: '/work/app',
    runnerPlatform: { os: 'linux', architecture: 'amd64', variant: '' },
    env: {},
    gitContext: 'https://github.com/acme/app.git#0123abc',
    runnerTemp: '/work/_temp',
    pathKind: (path) => paths[path] ?? 'missing',
    readText: () => undefined,
    isForkPullRequest: () => false,
    ...changes,
  };
}

/** Inputs as the runner hands them over: defaults of `action.yml` and `changes`. */
export function inputs(changes: RawInputs = {}): RawInputs {
  return { ...defaults, ...changes };
}

const { inputs: declared } = parse(
  readFileSync(join(import.meta.dirname, '..', '..', '..', 'action.yml'), 'utf8'),
) as { inputs: Record<string, { default?: string }> };
const defaults = Object.fromEntries(
  Object.entries(declared).map(([name, input]) => [name, input.default ?? '']),
);

/** Parses inputs in the usual world. */
export function parseOptions(changes: RawInputs, facts: World = world()): ActionOptions {
  return parseActionOptions(inputs(changes), facts);
}

/** The error that a call throws; fails when it throws none, or another kind. */
export function inputErrorOf(call: () => unknown): InputError {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error(`no error, but ${JSON.stringify(result)}`);
}

/** `code: message` of everything wrong with the inputs. */
export function problemsOf(changes: RawInputs, facts: World = world()): string[] {
  return inputErrorOf(() => parseOptions(changes, facts)).problems.map(
    ({ code, message, hint }) => `${code}: ${message}${hint === undefined ? '' : ` | ${hint}`}`,
  );
}

/** A reader over a few inputs, for parsers of one part. */
export function readerOf(raw: RawInputs): InputReader {
  return new InputReader(inputs(raw), new Problems());
}
