import { invalidInput } from './errors.ts';
import type { InputReader } from './input-reader.ts';

/** An input that counts something; what is malformed goes to `problems`. */
export function parseWholeNumber(
  reader: InputReader,
  {
    input,
    fallback,
    most,
  }: { readonly input: string; readonly fallback: number; readonly most: number },
): number {
  const value = reader.string(input);
  if (value === '') return fallback;
  return reader.problems.guard(fallback, () => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number <= most) return number;
    throw invalidInput({
      input,
      value,
      problem: 'is not a count',
      expected: `a whole number from 0 to ${most}`,
    });
  });
}
