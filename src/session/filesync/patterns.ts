import { toText, type ByteString } from './byte-string.ts';
import { checkGlob, PatternSyntaxError } from './glob.ts';
import { cleanPath } from './go-path.ts';
import { compileRe2 } from './re2.ts';

/** For each pattern, whether it took hold of a folder; nothing counts as no. */
export type MatchState = readonly boolean[];

/** The state of the root, which has no path that could match. */
export const rootMatchState: MatchState = [];

/** What Go's `strings.TrimSpace` removes, in UTF-8. */
const space =
  '(?:[\\t-\\r ]|\\xc2[\\x85\\xa0]|\\xe1\\x9a\\x80|\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80)';
// Looks for the end of a line only where a run of space begins, else long runs take for ever.
const surroundingSpace = new RegExp(`^${space}+|(?<!${space})${space}+$`, 'g');

/** As Go's `strings.TrimSpace`. */
export function trimSpace(line: ByteString): ByteString {
  return line.replace(surroundingSpace, '');
}

/**
 * A list of patterns as in `.dockerignore`, where later lines overrule earlier ones.
 *
 * Follows `moby/patternmatcher` v0.6.1, `MatchesUsingParentResults`, to the letter: its quirks
 * decide which files a build gets. Throws `PatternSyntaxError` for the patterns that it refuses.
 */
export class PatternMatcher {
  readonly patterns: readonly Pattern[];

  constructor(lines: readonly ByteString[]) {
    this.patterns = lines
      .map(trimSpace)
      .filter((line) => line !== '')
      .map((line) => new Pattern(cleanPath(line)));
  }

  /**
   * Whether the list matches `path`, given what it said of the folder that `path` is in.
   *
   * Throws `PatternSyntaxError` for a pattern whose fault shows only when it is needed.
   */
  match(path: ByteString, parent: MatchState): { matched: boolean; state: MatchState } {
    const text = toText(path);
    let matched = false;
    const state = this.patterns.map((pattern, index) => {
      if (parent[index] !== true) {
        // A pattern that could not change the verdict is not tried, and counts as not matching.
        if (pattern.isException !== matched || !pattern.matches(path, text)) return false;
      }
      matched = !pattern.isException;
      return true;
    });
    return { matched, state };
  }
}

/** One line of a list. */
export class Pattern {
  /** Cleaned, and without the `!` of an exception. */
  readonly path: ByteString;
  readonly isException: boolean;
  readonly #line: ByteString;
  #matches: PathTest | undefined;

  /** `line` is trimmed and clean. */
  constructor(line: ByteString) {
    this.#line = line;
    this.isException = line.startsWith('!');
    this.path = this.isException ? line.slice(1) : line;
    if (this.path === '') throw syntaxError(line, 'it has nothing after the !');
    try {
      checkGlob(this.path);
    } catch (error) {
      throw syntaxError(line, error);
    }
  }

  /** Whether the pattern matches this very path; `text` is the path as text. */
  matches(path: ByteString, text: string): boolean {
    try {
      this.#matches ??= pathTest(this.path);
    } catch (error) {
      throw syntaxError(this.#line, error);
    }
    return this.#matches(path, text);
  }
}

type PathTest = (path: ByteString, text: string) => boolean;

function pathTest(pattern: ByteString): PathTest {
  const { kind, source } = analyse(toText(pattern));
  switch (kind) {
    case 'exact':
      return (path) => path === pattern;
    case 'prefix': {
      const prefix = pattern.slice(0, -2);
      return (path) => path.startsWith(prefix);
    }
    case 'suffix': {
      const suffix = pattern.slice(2);
      return (path) =>
        path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
    }
    case 'regexp': {
      const automaton = compileRe2(`^${source}$`);
      return (_path, text) => automaton.test(text);
    }
  }
}

type Kind = 'exact' | 'prefix' | 'suffix' | 'regexp';

/** How a pattern is to be compared, and the RE2 expression in case it must be. */
function analyse(pattern: string): { kind: Kind; source: string } {
  let kind: Kind = 'exact';
  let source = '';
  for (const { 0: token, index } of pattern.matchAll(/\*\*\/?|\\?./gsu)) {
    if (token.startsWith('**')) {
      const isLast = index + token.length === pattern.length;
      source += isLast ? '.*' : '(.*/)?';
      if (index === 0) kind = 'suffix';
      else kind = isLast && kind === 'exact' ? 'prefix' : 'regexp';
    } else {
      source += tokenSource(token);
      if (/^[*?[\]\\]/.test(token)) kind = 'regexp';
    }
  }
  return { kind, source };
}

function tokenSource(token: string): string {
  if (token === '*') return '[^/]*';
  if (token === '?') return '[^/]';
  // The source means to quote `{`, `|` and `}` as well, but its table of bits has no room for them.
  return /^[.+()$]$/.test(token) ? `\\${token}` : token;
}

function syntaxError(line: ByteString, problem: unknown): PatternSyntaxError {
  const reason = problem instanceof Error ? problem.message : String(problem);
  return new PatternSyntaxError(`pattern "${toText(line)}" is not valid: ${reason}`, {
    cause: problem,
    line,
  });
}
