import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteString } from '../../../../src/session/filesync/byte-string.ts';
import { PatternSyntaxError } from '../../../../src/session/filesync/glob.ts';
import {
  PatternMatcher,
  rootMatchState,
  type MatchState,
} from '../../../../src/session/filesync/patterns.ts';

interface PatternCase {
  readonly patterns: readonly ByteString[];
  /** The list is refused. */
  readonly invalid?: boolean;
  readonly matched?: readonly ByteString[];
  /** Matching these paths fails. */
  readonly failed?: readonly ByteString[];
}

/** What moby/patternmatcher v0.6.1 answers; see the README next to it. */
const { paths, cases } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../fixtures/filesync/patterns.json'), 'utf8'),
) as { paths: readonly ByteString[]; cases: readonly PatternCase[] };

/** Matches a path as a walk does, from the root down. */
function matches(matcher: PatternMatcher, path: ByteString): boolean {
  let state: MatchState = rootMatchState;
  let matched = false;
  const elements = path.split('/');
  for (const [index] of elements.entries()) {
    ({ matched, state } = matcher.match(elements.slice(0, index + 1).join('/'), state));
  }
  return matched;
}

function verdicts(patterns: readonly ByteString[]): PatternCase {
  let matcher: PatternMatcher;
  try {
    matcher = new PatternMatcher(patterns);
  } catch (error) {
    expect(error).toBeInstanceOf(PatternSyntaxError);
    return { patterns, invalid: true };
  }
  const matched: ByteString[] = [];
  const failed: ByteString[] = [];
  for (const path of paths) {
    try {
      if (matches(matcher, path)) matched.push(path);
    } catch (error) {
      expect(error).toBeInstanceOf(PatternSyntaxError);
      failed.push(path);
    }
  }
  return {
    patterns,
    ...(matched.length > 0 && { matched }),
    ...(failed.length > 0 && { failed }),
  };
}

describe('PatternMatcher', () => {
  it('has a table that covers all three outcomes', () => {
    expect(cases.length).toBeGreaterThan(400);
    expect(cases.some((each) => each.invalid)).toBe(true);
    expect(cases.some((each) => each.failed)).toBe(true);
  });

  it.each(cases.map((each) => [JSON.stringify(each.patterns), each] as const))(
    'matches %s as Go does',
    (_, expected) => {
      expect(verdicts(expected.patterns)).toEqual(expected);
    },
  );

  it('names the line that it refuses, as it was written', () => {
    expect(() => new PatternMatcher(['fine', ' !docs/[a '])).toThrow(
      'pattern "!docs/[a" is not valid: it ends too early',
    );
    expect(() => new PatternMatcher(['!'])).toThrow(
      'pattern "!" is not valid: it has nothing after the !',
    );
    expect(() => new PatternMatcher(['bin\\obj']).match('bin', rootMatchState)).toThrow(
      'pattern "bin\\obj" is not valid: \\o has no meaning',
    );
  });
});
