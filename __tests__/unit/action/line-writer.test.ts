import { describe, expect, it } from '@jest/globals';

import { LineWriter } from '../../../src/action/line-writer.ts';

function writeAll(...pieces: string[]): string[] {
  const written: string[] = [];
  const writer = new LineWriter((lines) => written.push(lines));
  for (const piece of pieces) writer.write(piece);
  writer.end();
  return written;
}

describe('LineWriter', () => {
  it('holds back what is not a whole line yet', () => {
    expect(writeAll('a\nb', 'c', '\nd')).toEqual(['a', 'bc', 'd']);
  });

  it('passes on several lines at once, with empty ones', () => {
    expect(writeAll('a\n\nb\n', '\n')).toEqual(['a\n\nb', '']);
  });

  it('has nothing to say at the end of a line', () => {
    expect(writeAll('a\n', '')).toEqual(['a']);
  });
});
