const unitsInMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const part = String.raw`(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)`;
const whole = new RegExp(`^\\+?(?:${part})+$`);

/** The accepted form of durations, for error messages. */
export const durationForm = 'a duration above zero such as 90s, 2m30s or 6h';

/**
 * A positive Go duration in whole milliseconds, rounded up; undefined when it is malformed, zero or
 * negative, or too long for a number to hold exactly.
 */
export function parseGoDuration(text: string): number | undefined {
  if (!whole.test(text)) return undefined;
  let sumMs = 0;
  for (const [, number, unit] of text.matchAll(new RegExp(part, 'g'))) {
    sumMs += Number(number) * (unitsInMs[unit ?? ''] ?? 0);
  }
  const ms = Math.ceil(sumMs);
  return ms > 0 && Number.isSafeInteger(ms) ? ms : undefined;
}
