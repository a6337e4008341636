import type { ByteString } from './byte-string.ts';
import { PatternMatcher, rootMatchState, type MatchState, type Pattern } from './patterns.ts';

/**
 * `keep` sends an entry; `pass` does not, but looks for entries to send below it; `prune` has
 * nothing to send from here on down.
 */
export type Verdict = 'keep' | 'pass' | 'prune';

/** What the patterns said of a folder, needed to judge what is in it. */
export interface FilterState {
  readonly include: MatchState;
  readonly exclude: MatchState;
}

/** Whoever decides what is sent. */
export type Judge = Pick<PathFilter, 'judge'>;

/** The state of the root, which is never judged itself. */
export const rootFilterState: FilterState = { include: rootMatchState, exclude: rootMatchState };

/**
 * Chooses entries by include and exclude patterns, as fsutil's `NewFilterFS` does.
 *
 * An empty list of includes means everything. Throws `PatternSyntaxError` for invalid patterns.
 */
export class PathFilter {
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  readonly #included: Reach;
  readonly #excepted: Reach;

  constructor(includes: readonly ByteString[], excludes: readonly ByteString[]) {
    this.#include = includes.length > 0 ? new PatternMatcher(includes) : undefined;
    this.#exclude = excludes.length > 0 ? new PatternMatcher(excludes) : undefined;
    this.#included = new Reach(this.#include?.patterns.filter((each) => !each.isException) ?? []);
    this.#excepted = new Reach(this.#exclude?.patterns.filter((each) => each.isException) ?? []);
  }

  /** Judges a path by itself, whatever is there. Throws as `PatternMatcher.match` does. */
  judge(path: ByteString, parent: FilterState): { verdict: Verdict; state: FilterState } {
    const include = this.#include?.match(path, parent.include);
    if (include?.matched === false && !this.#included.enters(path)) return pruned;
    const exclude = this.#exclude?.match(path, parent.exclude);
    if (exclude?.matched === true && !this.#excepted.enters(path)) return pruned;
    return {
      verdict: include?.matched === false || exclude?.matched === true ? 'pass' : 'keep',
      state: {
        include: include?.state ?? rootMatchState,
        exclude: exclude?.state ?? rootMatchState,
      },
    };
  }
}

const pruned = { verdict: 'prune', state: rootFilterState } as const;

/** The folders below which some of these patterns could match. */
class Reach {
  /** Undefined when a pattern begins with a wildcard, so that there is no telling. */
  readonly #prefixes: readonly ByteString[] | undefined;

  constructor(patterns: readonly Pattern[]) {
    const prefixes = patterns.map(({ path }) => path.replace(/\/\*\*$/, '').replace(/\/\*$/, ''));
    this.#prefixes = prefixes.some((prefix) => /[*[\]?^\\]/.test(prefix)) ? undefined : prefixes;
  }

  enters(folder: ByteString): boolean {
    return this.#prefixes?.some((prefix) => `${prefix}/`.startsWith(`${folder}/`)) ?? true;
  }
}
