/** Whether a character, given by its code point, is in the set. */
export type CharacterSet = (code: number) => boolean;

/** All but the slash between two names. */
export const notSlash: CharacterSet = (code) => code !== 0x2f;

/** The ASCII letters, digits and `_`. */
export const word = ranges('09AZ__az');

/** All characters from `low` to `high`; none when they are the wrong way round. */
export function range(low: string, high: string): CharacterSet {
  const lowest = codeOf(low);
  const highest = codeOf(high);
  return (code) => code >= lowest && code <= highest;
}

/** Several ranges: the first and the last character of each, in a row. */
export function ranges(ends: string): CharacterSet {
  const pairs = ends.match(/../gsu) ?? [];
  return union(pairs.map(([low = '', high = '']) => range(low, high)));
}

/** What is in any of the sets. */
export function union(sets: readonly CharacterSet[]): CharacterSet {
  return (code) => sets.some((set) => set(code));
}

/** What is not in the set. */
export function not(set: CharacterSet): CharacterSet {
  return (code) => !set(code);
}

/** Whether `left` comes before; comparing strings would compare UTF-16 units. */
export function isBelow(left: string, right: string): boolean {
  return codeOf(left) < codeOf(right);
}

/** The code point of a character. */
export function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
