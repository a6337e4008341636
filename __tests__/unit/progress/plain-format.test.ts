import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  formatBytes,
  formatElapsed,
  formatFixed,
  nanosecondsOf,
  secondsOf,
} from '../../../src/progress/plain-format.ts';

describe('formatFixed', () => {
  it.each([
    [0.0625, 3, '0.062'],
    [0.1875, 3, '0.188'],
    [1.125, 2, '1.12'],
    [1.375, 2, '1.38'],
    [0.25, 1, '0.2'],
    [0.75, 1, '0.8'],
    [-0.25, 1, '-0.2'],
    [-0.75, 1, '-0.8'],
    [1234567.25, 1, '1234567.2'],
  ])('sends the exact half %d with %d decimals to the even digit', (value, digits, expected) => {
    expect(formatFixed(value, digits)).toBe(expected);
  });

  it('agrees with toFixed on what is no exact half', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.integer({ min: 1, max: 3 }),
        (value, digits) => {
          fc.pre(Math.abs((value * 2 ** (digits + 1)) % 2) !== 1);
          expect(formatFixed(value, digits)).toBe(value.toFixed(digits));
        },
      ),
    );
  });
});

describe('formatBytes', () => {
  it.each([
    [0n, '0B'],
    [999n, '999B'],
    [1000n, '1.00kB'],
    [999_999n, '1000.00kB'],
    [1_000_000n, '1.00MB'],
    [-1n, '-1B'],
    [-1500n, '-1.50kB'],
    [9_223_372_036_854_775_807n, '9.22EB'],
  ])('%d is %s', (size, expected) => {
    expect(formatBytes(size)).toBe(expected);
  });
});

describe('times', () => {
  it('keep their nanoseconds', () => {
    const later = nanosecondsOf({ seconds: 1_790_000_000n, nanos: 1 });
    const earlier = nanosecondsOf({ seconds: 1_789_999_999n, nanos: 999_999_999 });
    expect(later - earlier).toBe(2n);
    expect(secondsOf(1_500_000_000n)).toBe(1.5);
  });

  it('are 1970 when missing, as for a Go client', () => {
    expect(nanosecondsOf(undefined)).toBe(0n);
  });

  it('may be before the start', () => {
    expect(formatElapsed(-1_500_000_000n)).toBe('-1.500');
  });
});
