import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
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

  const token = fc.constantFrom('a', 'b', '.', '/', '*', '?', '**', '**/', '[ab]', '[^a]', '\\*');
  const pathText = fc.array(fc.constantFrom('a', 'b', '.', '/', '*', 'é'), { maxLength: 8 });

  /** What the tokens mean, as a regular expression that may take for ever. */
  const meaning = (tokens: string): string =>
    tokens.replaceAll(/\*\*\/?$|\*\*\/?|\\?./g, (each, at: number) => {
      if (each.startsWith('**')) return at + each.length === tokens.length ? '.*' : '(.*/)?';
      if (each === '*') return '[^/]*';
      if (each === '?') return '[^/]';
      return each === '.' ? '\\.' : each;
    });

  it('means what the regular expression of the pattern means', () => {
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 8 }), pathText, (tokens, parts) => {
        // The class keeps it from being compared as plain text, by other rules.
        const pattern = `[x]${tokens.join('')}`.replaceAll(/\/\/+|(?<=\/)\.\/|\/\.?$/g, '');
        fc.pre(!/(?:^|\/)\.\.?(?:\/|$)/.test(pattern));
        const text = `x${parts.join('')}`;
        const path = Buffer.from(text).toString('latin1');
        const expected = new RegExp(`^${meaning(pattern)}$`, 'u').test(text);
        expect(new PatternMatcher([pattern]).match(path, rootMatchState).matched).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['stars', '**/*a*a*a*a*a*a*a*b', 'a'.repeat(4000)],
    ['folders', '**/a/**/a/**/a/**/a/**/b?', 'a/'.repeat(2000)],
    ['repetitions', '[a]a{0,1000}a{0,1000}a{0,1000}b', 'a'.repeat(300)],
    ['choices', '*a?????????????????????????????????b', 'ab'.repeat(2000)],
  ])('takes no longer for hard %s', (_, pattern, path) => {
    expect(new PatternMatcher([pattern]).match(path, rootMatchState).matched).toBe(false);
  });

  it('keeps no more than it may of what it learned', () => {
    const pattern = `*a${'?'.repeat(200)}c`;
    let seed = 1;
    const noise = Array.from({ length: 6000 }, () => {
      seed = Math.imul(seed, 1_103_515_245) + 12_345;
      return 'ab'[(seed >>> 16) & 1];
    });
    noise[noise.length - 201] = 'b';
    const matcher = new PatternMatcher([pattern]);
    expect(matcher.match(`${noise.join('')}c`, rootMatchState).matched).toBe(false);
    noise[noise.length - 201] = 'a';
    expect(matcher.match(`${noise.join('')}c`, rootMatchState).matched).toBe(true);
  });

  it('trims a line with much space in its middle', () => {
    const line = `a${' '.repeat(100_000)}b`;
    expect(new PatternMatcher([` ${line}\xc2\xa0\t`]).patterns[0]?.path).toBe(line);
  });
});
