import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  parseCommaList,
  parseLineList,
  parseRawLineList,
  UnclosedQuoteError,
} from '../../../src/options/list-modes.ts';

interface Case {
  readonly text: string;
  readonly comma?: readonly string[];
  readonly line: readonly string[];
  readonly raw: readonly string[];
}

/** What actions-toolkit 0.92.0 makes of each text, without the empty elements it lets through. */
const cases: readonly Case[] = [
  { text: '', comma: [], line: [], raw: [] },
  { text: ' \n\t\n', comma: [], line: [], raw: [] },
  {
    text: 'a, b\n c ,d',
    comma: ['a', 'b', 'c', 'd'],
    line: ['a, b', 'c ,d'],
    raw: ['a, b', 'c ,d'],
  },
  { text: 'a\n\nb', comma: ['a', 'b'], line: ['a', 'b'], raw: ['a', 'b'] },
  { text: 'a\n   \nb', comma: ['a', 'b'], line: ['a', 'b'], raw: ['a', 'b'] },
  { text: 'a,,b,', comma: ['a', 'b'], line: ['a,,b,'], raw: ['a,,b,'] },
  { text: 'a, ,b', comma: ['a', 'b'], line: ['a, ,b'], raw: ['a, ,b'] },
  {
    text: '"a=1,2"\nb',
    comma: ['a=1', '2', 'b'],
    line: ['a=1,2', 'b'],
    raw: ['"a=1,2"', 'b'],
  },
  {
    text: 'type=image,"name=a,b",push=true',
    comma: ['type=image', 'name=a,b', 'push=true'],
    line: ['type=image,name=a,b,push=true'],
    raw: ['type=image,"name=a,b",push=true'],
  },
  { text: 'K=[1,"b",2]', line: ['K=[1,b,2]'], raw: ['K=[1,"b",2]'] },
  { text: 'K=["a","b"]', line: ['K=["a","b"]'], raw: ['K=["a","b"]'] },
  { text: 'a={"x":"y","z":1}', line: ['a={"x":"y","z":1}'], raw: ['a={"x":"y","z":1}'] },
  { text: '"a=""x"""', comma: ['a="x"'], line: ['a="x"'], raw: ['"a=""x"""'] },
  {
    text: 'z\n  "a,b"',
    comma: ['z', '"a', 'b"'],
    line: ['z', '"a,b"'],
    raw: ['z', '"a,b"'],
  },
  {
    text: '"a=1\n\n2\n"\nb=2',
    comma: ['a=1\n\n2', 'b=2'],
    line: ['a=1\n\n2', 'b=2'],
    raw: ['"a=1', '2', '"', 'b=2'],
  },
  { text: "'a=1,2'", comma: ["'a=1", "2'"], line: ["'a=1,2'"], raw: ["'a=1,2'"] },
  { text: '# c', comma: ['# c'], line: ['# c'], raw: ['# c'] },
  { text: 'a\r\nb', comma: ['a', 'b'], line: ['a', 'b'], raw: ['a', 'b'] },
  { text: 'a\rb', comma: ['a', 'b'], line: ['a', 'b'], raw: ['a', 'b'] },
  { text: 'a\nb\r\nc', comma: ['a', 'b', 'c'], line: ['a', 'b', 'c'], raw: ['a', 'b', 'c'] },
  { text: 'x\n"a,b"\r\nc', line: ['x', 'a,b', 'c'], raw: ['x', '"a,b"', 'c'] },
  { text: '__proto__', comma: ['__proto__'], line: ['__proto__'], raw: ['__proto__'] },
];

describe('list modes', () => {
  it.each(cases.filter((each) => each.comma !== undefined))(
    'reads $text as a comma list',
    ({ text, comma }) => {
      expect(parseCommaList(text)).toEqual(comma);
    },
  );

  it.each(cases)('reads $text as a line list', ({ text, line }) => {
    expect(parseLineList(text)).toEqual(line);
  });

  it.each(cases)('reads $text as a raw line list', ({ text, raw }) => {
    expect(parseRawLineList(text)).toEqual(raw);
  });

  it('refuses a quote that is never closed, without quoting the text', () => {
    const text = '"secret=1\nb=2';
    expect(() => parseCommaList(text)).toThrow(UnclosedQuoteError);
    expect(() => parseLineList(text)).toThrow(/^a quote is never closed$/);
    expect(parseRawLineList(text)).toEqual(['"secret=1', 'b=2']);
  });

  it('reads any text or says that a quote is open', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', '=') }),
        (text) => {
          for (const parse of [parseCommaList, parseLineList, parseRawLineList]) {
            try {
              const elements = parse(text);
              expect(
                elements.filter((element) => element.trim() !== element || element === ''),
              ).toEqual([]);
            } catch (error) {
              expect(error).toBeInstanceOf(UnclosedQuoteError);
              expect(parse).not.toBe(parseRawLineList);
            }
          }
        },
      ),
    );
  });
});
