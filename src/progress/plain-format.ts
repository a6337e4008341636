import type { Timestamp } from '../wire/gen/google/protobuf/timestamp.ts';

/** Nanoseconds since 1970, or between two moments. */
export type Nanoseconds = bigint;

const nanosecondsPerSecond = 1_000_000_000n;

/** The moment of a timestamp; one that is missing is 1970, as for BuildKit's own clients. */
export function nanosecondsOf(timestamp: Timestamp | undefined): Nanoseconds {
  if (timestamp === undefined) return 0n;
  return timestamp.seconds * nanosecondsPerSecond + BigInt(timestamp.nanos);
}

/** Seconds as the nearest number, computed in the same two steps as Go's `Duration.Seconds`. */
export function secondsOf(duration: Nanoseconds): number {
  const wholeSeconds = duration / nanosecondsPerSecond;
  const rest = duration % nanosecondsPerSecond;
  return Number(wholeSeconds) + Number(rest) / 1e9;
}

/**
 * A number with a fixed count of decimals, where exact halves go to the even digit.
 *
 * Go and C round like this; `toFixed` rounds halves up, and 62.5 ms is such a half. `digits` is at
 * most 3.
 */
export function formatFixed(value: number, digits: number): string {
  // Only an odd multiple of 2^-(digits+1) is a half in both systems; the product is exact.
  const isHalf = Math.abs((value * 2 ** (digits + 1)) % 2) === 1;
  if (!isHalf) return value.toFixed(digits);
  const below = Math.floor(Math.abs(value) * 10 ** digits);
  const rounded = (below % 2 === 0 ? below : below + 1) / 10 ** digits;
  return `${value < 0 ? '-' : ''}${rounded.toFixed(digits)}`;
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/** A size in decimal units with two decimals, or in plain bytes below 1000: `123B`, `1.23kB`. */
export function formatBytes(sizeBytes: bigint): string {
  let unit = 0;
  let unitBytes = 1n;
  const magnitude = sizeBytes < 0n ? -sizeBytes : sizeBytes;
  while (unit + 1 < byteUnits.length && magnitude >= unitBytes * 1000n) {
    unit += 1;
    unitBytes *= 1000n;
  }
  if (unit === 0) return `${sizeBytes.toString()}B`;
  return `${formatFixed(Number(sizeBytes) / Number(unitBytes), 2)}${byteUnits[unit] ?? ''}`;
}

/** The time in front of a log line: 3 decimals below 10 s, 2 below 100 s, else 1. */
export function formatElapsed(duration: Nanoseconds): string {
  const seconds = secondsOf(duration);
  return formatFixed(seconds, seconds < 10 ? 3 : seconds < 100 ? 2 : 1);
}
