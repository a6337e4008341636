import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { OpenQuoteError, splitShellWords } from '../../../src/options/shell-words.ts';

describe('splitShellWords', () => {
  it.each<[string, readonly string[]]>([
    ['', []],
    ['  \t\r\n ', []],
    ['--debug --root /x', ['--debug', '--root', '/x']],
    ['a\nb', ['a', 'b']],
    [`'a b' "c d"`, ['a b', 'c d']],
    [`a'b c'd"e f"`, ['ab cde f']],
    [`'' ""`, ['', '']],
    [String.raw`a\ b \"c\" \\`, ['a b', '"c"', '\\']],
    [String.raw`"a\"b\\c\d"`, ['a"b\\cd']],
    [String.raw`'a\b'`, ['a\\b']],
    ['a # comment\nb #', ['a', 'b']],
    ['a#b "#c"', ['a#b', '#c']],
    ['--x={"a":1}', ['--x={a:1}']],
    ['$HOME `x` *;|&', ['$HOME', '`x`', '*;|&']],
    ['é ☃', ['é', '☃']],
  ])('splits %j', (text, expected) => {
    expect(splitShellWords(text)).toEqual(expected);
  });

  it.each([`'a`, `"a`, `a "b\\"`, 'a\\'])('refuses %j', (text) => {
    expect(() => splitShellWords(text)).toThrow(OpenQuoteError);
  });

  it('gives back words that were quoted', () => {
    const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (words) => {
        expect(splitShellWords(words.map(quoted).join(' '))).toEqual(words);
      }),
    );
  });
});
