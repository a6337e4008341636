import type { Nanoseconds } from './plain-format.ts';

/** A time during which a vertex ran; without `stop` it still does. */
export interface Interval {
  readonly start: Nanoseconds;
  readonly stop: Nanoseconds | undefined;
}

/** Joins intervals that touch, in order of start; one without end swallows all after it. */
export function mergeIntervals(intervals: Iterable<Interval>): Interval[] {
  const sorted = [...intervals].sort((a, b) =>
    a.start < b.start ? -1 : a.start > b.start ? 1 : 0,
  );
  const merged: Interval[] = [];
  for (const interval of sorted) {
    const last = merged.at(-1);
    if (last === undefined) {
      merged.push(interval);
    } else if (last.stop === undefined) {
      break;
    } else if (last.stop < interval.start) {
      merged.push(interval);
    } else if (interval.stop === undefined || interval.stop > last.stop) {
      merged[merged.length - 1] = { start: last.start, stop: interval.stop };
    }
  }
  return merged;
}

/** Sum of the intervals that have ended. */
export function totalDuration(intervals: readonly Interval[]): Nanoseconds {
  let sum = 0n;
  for (const { start, stop } of intervals) {
    if (stop !== undefined) sum += stop - start;
  }
  return sum;
}
