import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { inputNames } from '../../src/action/inputs.ts';
import { outputNames, outputsNotSupportedYet } from '../../src/action/outputs.ts';
import { setupInputNames } from '../../src/options/setup-options.ts';
import { inputsNotSupportedYet } from '../../src/options/not-supported-yet.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Entry {
  readonly description: string;
  readonly default?: unknown;
  readonly required?: boolean;
}

interface Action {
  readonly inputs: Readonly<Record<string, Entry>>;
  readonly outputs: Readonly<Record<string, Entry>>;
  readonly runs: Readonly<Record<string, string>>;
}

const action = parse(read('action.yml')) as Action;
const setup = parse(read('setup/action.yml')) as Action;
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.includes('wire/gen/'))
  .map((name) => ({ name, text: read(join('src', name)) }));

describe('action.yml', () => {
  it('declares the inputs that the code reads', () => {
    expect(Object.keys(action.inputs).sort()).toEqual([...inputNames].sort());
  });

  it('declares inputs that the code uses', () => {
    const parsers = sources.filter(({ name }) => name.startsWith('options/'));
    const unused = inputNames.filter(
      // The token belongs to Git contexts and is set by default.
      (name) => name !== 'github-token' && !parsers.some(({ text }) => names(text, name)),
    );
    expect(unused).toEqual([]);
  });

  it('declares the outputs that the code knows', () => {
    expect(Object.keys(action.outputs).sort()).toEqual([...outputNames].sort());
  });

  it('has the defaults that the code takes for defaults', () => {
    const defaults = Object.fromEntries(
      [...inputsNotSupportedYet].map(([name, awaited]) => [name, awaited.default]),
    );
    const declared = Object.fromEntries(
      Object.keys(defaults).map((name) => [name, action.inputs[name]?.default ?? '']),
    );
    expect(declared).toEqual(defaults);
  });

  it('runs main and post apart, post in any case', () => {
    expect(action.runs).toEqual({
      using: 'node24',
      main: 'dist/main.js',
      post: 'dist/post.js',
      'post-if': 'always()',
    });
  });
});

describe('setup/action.yml', () => {
  it('declares the inputs that the code reads', () => {
    expect(Object.keys(setup.inputs).sort()).toEqual([...setupInputNames].sort());
  });

  it('declares the outputs of docker/setup-buildx-action, and the times', () => {
    expect(Object.keys(setup.outputs).sort()).toEqual(
      'driver endpoint flags name nodes platforms status timings'.split(' '),
    );
  });

  it('says of inputs and outputs what action.yml says', () => {
    const { platforms, ...inputs } = setup.inputs;
    expect(action.inputs).toMatchObject(inputs);
    expect(action.outputs).toMatchObject(setup.outputs);
    expect(platforms?.description).toMatch(/first node/);
  });

  it('runs main and post apart, post in any case', () => {
    expect(setup.runs).toEqual({
      using: 'node24',
      main: '../dist/setup-main.js',
      post: '../dist/setup-post.js',
      'post-if': 'always()',
    });
  });
});

describe.each([
  ['action.yml', action],
  ['setup/action.yml', setup],
])('%s', (_, { inputs, outputs }) => {
  it('has text for defaults, as the runner does', () => {
    const defaults = Object.values(inputs).map((input) => input.default);
    expect(defaults.filter((each) => each !== undefined && typeof each !== 'string')).toEqual([]);
  });

  it('describes everything and requires nothing', () => {
    for (const entry of [...Object.values(inputs), ...Object.values(outputs)]) {
      expect(entry.description).toMatch(/^[A-Z].*[^.]$/);
      expect(entry.required).toBeUndefined();
    }
  });
});

describe('outputs', () => {
  it('are written, or listed as not supported yet', () => {
    const calls = sources.flatMap(({ text }) => argumentsOf(text, 'setOutputs'));
    const written = outputNames.filter((name) =>
      calls.some((call) => new RegExp(`[{,]\\s*${name}\\s*[:,}]`).test(call)),
    );
    const promised = outputNames.filter((name) => !outputsNotSupportedYet.has(name));
    expect(written).toEqual(promised);
  });
});

describe('README.md and docs/setup.md', () => {
  it('have the tables that the actions give', () => {
    const script = join(root, 'scripts', 'readme-tables.ts');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe('docs/errors.md', () => {
  it('lists every error code once, and no other', () => {
    const listed = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)`/gm)].map(
      ([, code]) => code,
    );
    expect(listed.sort()).toEqual(errorCodes().sort());
  });
});

/** All members of the unions of error codes, and codes given to `CodedError` directly. */
function errorCodes(): string[] {
  const unions = /type \w*ErrorCode =([^;]+);/g;
  const direct = /CodedError<('[A-Z_]+')>/g;
  return sources.flatMap(({ text }) =>
    [...text.matchAll(unions), ...text.matchAll(direct)].flatMap(([, members = '']) =>
      [...members.matchAll(/'([A-Z_]+)'/g)].map(([, code = '']) => code),
    ),
  );
}

/** The text between the brackets of every call of a function. */
function argumentsOf(source: string, name: string): string[] {
  return [...source.matchAll(new RegExp(`\\b${name}\\(`, 'g'))].map(({ 0: call, index }) => {
    const start = index + call.length;
    let depth = 1;
    let end = start;
    for (; depth > 0 && end < source.length; end += 1) {
      if (source[end] === '(') depth += 1;
      if (source[end] === ')') depth -= 1;
    }
    return source.slice(start, end - 1);
  });
}

/** Whether a source has a name as a text or as a key. */
function names(text: string, name: string): boolean {
  return text.includes(`'${name}'`) || new RegExp(`^\\s*${name}:`, 'm').test(text);
}
