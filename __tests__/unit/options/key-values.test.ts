import { describe, expect, it } from '@jest/globals';

import { parseBuildArgs, parseLabels } from '../../../src/options/key-values.ts';
import { problemsOf, readerOf } from './parse-inputs.ts';

type Env = Readonly<Record<string, string | undefined>>;

const buildArgs = (text: string, env: Env = {}): unknown =>
  parseBuildArgs(readerOf({ 'build-args': text }), env);

describe('build-args', () => {
  it.each<[string, string, Readonly<Record<string, string>>]>([
    ['values with `=`', 'A=b=c', { A: 'b=c' }],
    ['empty values', 'A=', { A: '' }],
    ['the last of equal names', 'A=1\nA=2', { A: '2' }],
    ['commas', 'A=1,2\nB=3', { A: '1,2', B: '3' }],
    ['JSON', 'A=["x","y"]', { A: '["x","y"]' }],
    ['several lines in quotes', '"A=1\n2"\nB=3', { A: '1\n2', B: '3' }],
    [
      'names of properties that every object has',
      '__proto__=x\nconstructor=y',
      {
        ['__proto__']: 'x',
        constructor: 'y',
      },
    ],
  ])('reads %s', (_, text, expected) => {
    expect(Object.entries(buildArgs(text) as object)).toEqual(Object.entries(expected));
  });

  it('takes a name alone from the environment, and leaves it out when it is unset', () => {
    expect(buildArgs('A\nB\nC', { A: 'from env', B: '' })).toEqual({ A: 'from env', B: '' });
  });

  it('adds SOURCE_DATE_EPOCH unless it was given', () => {
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    expect(buildArgs('A=1', env)).toEqual({ A: '1', SOURCE_DATE_EPOCH: '1700000000' });
    expect(buildArgs('SOURCE_DATE_EPOCH=0', env)).toEqual({ SOURCE_DATE_EPOCH: '0' });
    expect(buildArgs('SOURCE_DATE_EPOCH', env)).toEqual(env);
    expect(buildArgs('', { SOURCE_DATE_EPOCH: '' })).toEqual({});
  });

  it.each([
    ['A=1\n=hunter2', 'element 2 has no name'],
    ['"A=hunter2', 'a quote that is never closed'],
    ['BUILDKIT_SYNTAX= ', '`BUILDKIT_SYNTAX` is empty'],
    ['BUILDKIT_INLINE_CACHE=1', 'not supported yet'],
  ])('refuses %s without showing a value', (text, problem) => {
    const [found, ...others] = problemsOf({ 'build-args': text });
    expect(found).toContain('`build-args`');
    expect(found).toContain(problem);
    expect(found).not.toContain('hunter2');
    expect(others).toEqual([]);
  });
});

describe('labels', () => {
  it('are empty without `=`', () => {
    const reader = readerOf({ labels: 'a\nb=c,d\norg.x=y=z' });
    expect(parseLabels(reader)).toEqual({ a: '', b: 'c,d', 'org.x': 'y=z' });
  });

  it('need a name', () => {
    expect(problemsOf({ labels: '=v' })).toEqual([
      'INPUT_INVALID: input `labels`: element 1 has no name before its `=`; expected name=value',
    ]);
  });
});
