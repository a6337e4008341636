import { describe, expect, it } from '@jest/globals';

import { parseGoDuration } from '../../../src/options/go-duration.ts';

describe('parseGoDuration', () => {
  it.each([
    ['120s', 120_000],
    ['2m30s', 150_000],
    ['1h', 3_600_000],
    ['1h0m0.5s', 3_600_500],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1000],
    ['+3s', 3000],
    ['1500ms', 1500],
    ['90s30s', 120_000],
    ['1ns', 1],
    ['250µs', 1],
    ['250μs', 1],
    ['1001us', 2],
  ])('reads %s', (text, expectedMs) => {
    expect(parseGoDuration(text)).toBe(expectedMs);
  });

  it.each([
    '',
    '0',
    '0s',
    '-1s',
    '120',
    's',
    '.s',
    '1d',
    '1h 30m',
    ' 1s',
    '1S',
    '1e3s',
    '1,5s',
    '999999999999999999h',
    'tomorrow',
  ])('refuses %j', (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
  });
});
