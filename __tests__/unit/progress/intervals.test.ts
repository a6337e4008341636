import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Interval, mergeIntervals, totalDuration } from '../../../src/progress/intervals.ts';

const interval = fc
  .record({ start: fc.integer({ min: 0, max: 30 }), length: fc.integer({ min: 0, max: 8 }) })
  .map(({ start, length }): Interval => ({
    start: BigInt(start),
    stop: length === 8 ? undefined : BigInt(start + length),
  }));

const covers = (intervals: readonly Interval[], moment: bigint): boolean =>
  intervals.some(({ start, stop }) => start <= moment && (stop === undefined || moment <= stop));

describe('mergeIntervals', () => {
  it('covers the same moments with intervals that do not touch', () => {
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 8 }), (intervals) => {
        const merged = mergeIntervals(intervals);
        for (let moment = 0n; moment < 45n; moment += 1n) {
          expect(covers(merged, moment)).toBe(covers(intervals, moment));
        }
        merged.slice(1).forEach(({ start }, index) => {
          expect(merged[index]!.stop! < start).toBe(true);
        });
      }),
    );
  });

  it('leaves what it was given alone', () => {
    const intervals = [
      { start: 5n, stop: 6n },
      { start: 1n, stop: 2n },
    ];
    mergeIntervals(intervals);
    expect(intervals[0]).toEqual({ start: 5n, stop: 6n });
  });
});

describe('totalDuration', () => {
  it('does not count the pauses, nor what still runs', () => {
    const intervals = [
      { start: 1n, stop: 3n },
      { start: 10n, stop: 15n },
      { start: 20n, stop: undefined },
    ];
    expect(totalDuration(intervals)).toBe(7n);
  });
});
