import { Automaton, Program } from './automaton.ts';
import { toText, type ByteString } from './byte-string.ts';
import { codeOf, not, notSlash, range, union, type CharacterSet } from './character-set.ts';

/** What follows is not a valid glob or pattern. */
export class PatternSyntaxError extends Error {
  override readonly name = 'PatternSyntaxError';
  /** The line of a list that has the fault, as far as it is known; trimmed and clean. */
  readonly line: ByteString | undefined;

  constructor(message: string, options: ErrorOptions & { readonly line?: ByteString } = {}) {
    super(message, options);
    this.line = options.line;
  }
}

/**
 * Compiles the pattern language of Go's `filepath.Match`, to be tested against text.
 *
 * `*` and `?` do not match a slash, `[…]` and `[^…]` are classes, `\` quotes the next character.
 * Throws `PatternSyntaxError` for what can match nothing.
 */
export function compileGlob(pattern: ByteString): Automaton {
  const program = new Program();
  program.repeat('begin');
  for (const element of elements(pattern)) {
    if (element === anyText) program.repeat(notSlash, 0, Infinity);
    else program.repeat(element);
  }
  program.repeat('end');
  program.match();
  return new Automaton(program);
}

/**
 * Throws `PatternSyntaxError` for the patterns that `filepath.Match(pattern, ".")` refuses.
 *
 * Those are fewer than all invalid ones: Go reads on behind a `*` only if what stands before it
 * matches the beginning of the name.
 */
export function checkGlob(pattern: ByteString): void {
  // Whether what was read so far can match nothing of the name, and all of it.
  let nothing = true;
  let all = false;
  for (const element of elements(pattern)) {
    if (element === anyText) {
      if (!nothing && !all) return;
      all = true;
    } else {
      all = nothing && (typeof element === 'number' ? element === dot : element(dot));
      nothing = false;
    }
  }
}

/** Whether a name holds `*`, `?` or `[` that no backslash quotes. */
export function hasWildcard(name: ByteString): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(name);
}

const anyText = '*';
const dot = 0x2e;

function* elements(
  pattern: ByteString,
): Generator<CharacterSet | number | typeof anyText, void, undefined> {
  const runes = Array.from(toText(pattern)).values();
  for (const rune of runes) {
    if (rune === '*') yield anyText;
    else if (rune === '?') yield notSlash;
    else if (rune === '[') yield globClass(runes);
    else yield codeOf(rune === '\\' ? take(runes) : rune);
  }
}

function globClass(rest: Iterator<string, undefined>): CharacterSet {
  let rune = take(rest);
  const negated = rune === '^';
  if (negated) rune = take(rest);
  const items: CharacterSet[] = [];
  do {
    const low = classMember(rune, rest);
    let high = low;
    rune = take(rest);
    if (rune === '-') {
      high = classMember(take(rest), rest);
      rune = take(rest);
    }
    items.push(range(low, high));
  } while (rune !== ']');
  return negated ? not(union(items)) : union(items);
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
