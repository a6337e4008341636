/** Source text of regular expressions with the `v` flag. */

/** One character that stands for itself, inside a character class or outside. */
export function literalSource(character: string): string {
  if (/^[0-9A-Za-z]$/.test(character)) return character;
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** A character class; with no items it matches nothing, or everything when negated. */
export function classSource(items: readonly string[], negated: boolean): string {
  return `[${negated ? '^' : ''}${items.join('')}]`;
}

/** All characters from `low` to `high`; nothing when they are the wrong way round. */
export function rangeSource(low: string, high: string): string {
  if (low === high) return literalSource(low);
  if (isBelow(high, low)) return '';
  return `${literalSource(low)}-${literalSource(high)}`;
}

/** Whether the code point of `left` is smaller; comparing strings would compare UTF-16 units. */
export function isBelow(left: string, right: string): boolean {
  return (left.codePointAt(0) ?? 0) < (right.codePointAt(0) ?? 0);
}
