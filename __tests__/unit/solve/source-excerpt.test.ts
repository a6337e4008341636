import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ErrorSource, SourceRange } from '../../../src/buildkit/error-details.ts';
import { linesOf, sourceExcerpt } from '../../../src/solve/source-excerpt.ts';

const range = (start: number, end: number): SourceRange => ({
  start: { line: start, character: 0 },
  end: { line: end, character: 0 },
});
const source = (text: string, ...ranges: SourceRange[]): ErrorSource => ({
  filename: 'Dockerfile',
  data: Buffer.from(text),
  language: 'Dockerfile',
  ranges,
});
const numbered = (count: number): string =>
  Array.from({ length: count }, (_value, index) => `LINE ${index + 1}`).join('\n');

describe('sourceExcerpt', () => {
  it('frames one line with two lines on each side', () => {
    expect(sourceExcerpt(source(numbered(14), range(12, 12)))).toBe(
      [
        'Dockerfile:12',
        '--------------------',
        '  10 |     LINE 10',
        '  11 |     LINE 11',
        '  12 | >>> LINE 12',
        '  13 |     LINE 13',
        '  14 |     LINE 14',
        '--------------------',
        '',
      ].join('\n'),
    );
  });

  it('frames several lines with one line on each side', () => {
    expect(sourceExcerpt(source(numbered(9), range(3, 4)))).toBe(
      [
        'Dockerfile:3',
        '--------------------',
        '   2 |     LINE 2',
        '   3 | >>> LINE 3',
        '   4 | >>> LINE 4',
        '   5 |     LINE 5',
        '--------------------',
        '',
      ].join('\n'),
    );
  });

  it('ends at the ends of the file, and counts what follows the last newline as a line', () => {
    expect(sourceExcerpt(source('FROM x\nRUN y\n', range(1, 1)))).toBe(
      [
        'Dockerfile:1',
        '--------------------',
        '   1 | >>> FROM x',
        '   2 |     RUN y',
        '   3 |     ',
        '--------------------',
        '',
      ].join('\n'),
    );
  });

  it('marks only the lines of its ranges, in whatever order they come', () => {
    const text = sourceExcerpt(source(numbered(9), range(6, 6), range(3, 0)));
    expect(text).toContain('Dockerfile:3\n');
    expect(text?.split('\n').filter((line) => line.includes('>>>'))).toEqual([
      '   3 | >>> LINE 3',
      '   6 | >>> LINE 6',
    ]);
    expect(text).toContain('   7 |     LINE 7');
  });

  it('keeps numbers of more than three digits whole', () => {
    expect(sourceExcerpt(source(numbered(2000), range(1234, 1234)))).toContain(
      ' 1234 | >>> LINE 1234',
    );
  });

  it.each([
    { name: 'no range', ranges: [] },
    { name: 'a line that is not there', ranges: [range(4, 4)] },
    { name: 'line zero', ranges: [range(0, 2)] },
  ])('is undefined for $name', ({ ranges }) => {
    expect(sourceExcerpt(source(numbered(3), ...ranges))).toBeUndefined();
    expect(linesOf(source(numbered(3), ...ranges))).toBeUndefined();
  });

  it('ends in the file when the range does not', () => {
    expect(linesOf(source(numbered(3), range(2, 99)))).toEqual({ startLine: 2, endLine: 3 });
  });

  it('stays small and inside the file for any ranges', () => {
    const line = fc.integer({ min: -5, max: 40 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(line, line), { maxLength: 4 }),
        fc.integer({ min: 0, max: 20 }),
        (pairs, count) => {
          const each = source(numbered(count), ...pairs.map(([start, end]) => range(start, end)));
          const text = sourceExcerpt(each);
          if (text === undefined) return;
          expect(text).toContain('>>>');
          expect(text.split('\n').length).toBeLessThanOrEqual(Math.max(count, 1) + 4);
        },
      ),
    );
  });
});
