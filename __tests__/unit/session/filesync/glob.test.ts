import { describe, expect, it } from '@jest/globals';
import {
  checkGlob,
  compileGlob,
  hasWildcard,
  PatternSyntaxError,
} from '../../../../src/session/filesync/glob.ts';

// Cases of Go's own tests of filepath.Match.
describe('compileGlob', () => {
  it.each([
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-x]', 'x', true],
    ['[\\-x]', 'z', false],
    ['*x', 'xxx', true],
    ['a.b', 'axb', false],
    ['[z-a]', 'm', false],
    ['[^z-a]', 'm', true],
    ['new\nline', 'new\nline', true],
  ])('%j on %j is %p', (pattern, name, matches) => {
    const glob = compileGlob(Buffer.from(pattern).toString('latin1'));
    expect(glob.test(name)).toBe(matches);
  });

  it.each(['[]a]', '[-]', '[x-]', '[-x]', '[a-b-c]', '[', '[^', '[^bc', 'a[', '\\', '[\\', 'a*['])(
    'refuses %j',
    (pattern) => {
      expect(() => compileGlob(pattern)).toThrow(PatternSyntaxError);
    },
  );
});

it('does not go astray on many stars', () => {
  expect(compileGlob('*a*a*a*a*a*a*a*b').test('a'.repeat(4000))).toBe(false);
  expect(() => {
    checkGlob(`${'*'.repeat(100_000)}[`);
  }).toThrow(PatternSyntaxError);
});

describe('checkGlob', () => {
  it('does not read on behind a star once the name is lost', () => {
    expect(() => {
      checkGlob('foo*[');
    }).not.toThrow();
    expect(() => {
      checkGlob('.*[');
    }).toThrow(PatternSyntaxError);
    expect(() => {
      checkGlob('foo[*');
    }).toThrow(PatternSyntaxError);
  });
});

describe('hasWildcard', () => {
  it.each([
    ['plain', false],
    ['a*', true],
    ['a?', true],
    ['[a', true],
    ['a]', false],
    ['a\\*', false],
    ['a\\\\*', true],
    ['\\*?', true],
    ['\n*', true],
    ['trailing\\', false],
  ])('of %j is %p', (name, expected) => {
    expect(hasWildcard(name)).toBe(expected);
  });
});
