import { toText, type ByteString } from './byte-string.ts';
import { classSource, literalSource, rangeSource } from './regexp-source.ts';

/** What follows is not a valid glob or pattern. */
export class PatternSyntaxError extends Error {
  override readonly name = 'PatternSyntaxError';
}

/**
 * Compiles the pattern language of Go's `filepath.Match`, to be tested against text.
 *
 * `*` and `?` do not match a slash, `[…]` and `[^…]` are classes, `\` quotes the next character.
 * Throws `PatternSyntaxError` for what can match nothing.
 */
export function compileGlob(pattern: ByteString): RegExp {
  return new RegExp(`^${[...elements(pattern)].join('')}$`, 'v');
}

/**
 * Throws `PatternSyntaxError` for the patterns that `filepath.Match(pattern, ".")` refuses.
 *
 * Those are fewer than all invalid ones: Go reads on behind a `*` only if what stands before it
 * matches the beginning of the name.
 */
export function checkGlob(pattern: ByteString): void {
  let source = '^';
  for (const element of elements(pattern)) {
    if (element === anyText && !new RegExp(source, 'v').test('.')) return;
    source += element;
  }
}

/** Whether a name holds `*`, `?` or `[` that no backslash quotes. */
export function hasWildcard(name: ByteString): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(name);
}

const anyText = '[^\\/]*';

/** The source of a regular expression, element by element. */
function* elements(pattern: ByteString): Generator<string, void, undefined> {
  const runes = Array.from(toText(pattern)).values();
  for (const rune of runes) {
    if (rune === '*') yield anyText;
    else if (rune === '?') yield '[^\\/]';
    else if (rune === '[') yield globClassSource(runes);
    else yield literalSource(rune === '\\' ? take(runes) : rune);
  }
}

function globClassSource(rest: Iterator<string, undefined>): string {
  let rune = take(rest);
  const negated = rune === '^';
  if (negated) rune = take(rest);
  const items: string[] = [];
  do {
    const low = classMember(rune, rest);
    let high = low;
    rune = take(rest);
    if (rune === '-') {
      high = classMember(take(rest), rest);
      rune = take(rest);
    }
    items.push(rangeSource(low, high));
  } while (rune !== ']');
  return classSource(items, negated);
}

function classMember(rune: string, rest: Iterator<string, undefined>): string {
  if (rune === '-' || rune === ']') throw new PatternSyntaxError(`unexpected ${rune} in [ ]`);
  return rune === '\\' ? take(rest) : rune;
}

function take(runes: Iterator<string, undefined>): string {
  const { value, done } = runes.next();
  if (done === true) throw new PatternSyntaxError('it ends too early');
  return value;
}
