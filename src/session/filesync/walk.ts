import type { BigIntStats } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteString } from './byte-string.ts';
import { rootFilterState, type FilterState, type Judge } from './filter.ts';
import { isForbidden, isMissing, type LocalFolder } from './local-folder.ts';

/** Something in a folder, links not followed. */
export interface WalkEntry {
  /** Relative to the folder that is walked. */
  readonly path: ByteString;
  readonly stats: BigIntStats;
  /** The text of a symbolic link; undefined for everything else. */
  readonly linkTarget: ByteString | undefined;
}

/** How many entries are looked at together; their answers are all that is held of a folder. */
const batchSize = 64;

interface JudgedEntry extends WalkEntry {
  readonly kept: boolean;
  readonly state: FilterState;
}

/** A folder that is being walked. */
interface OpenFolder {
  readonly entry: JudgedEntry | undefined;
  readonly prefix: ByteString;
  readonly state: FilterState;
  readonly names: readonly ByteString[];
  /** How many of the names were looked at. */
  seen: number;
  /** Entries found among them and not walked yet, last one first. */
  found: JudgedEntry[];
  /** Whether the folder itself was given out. */
  announced: boolean;
}

/**
 * Walks a folder depth first, siblings in the order of their bytes, giving what the filter keeps
 * after the folders that it is in, whether those are kept or not. The root itself is not given.
 *
 * What vanishes meanwhile is left out, and so is what may not be read and is not kept. Throws
 * `SessionError` `SESSION_CONTEXT_UNREADABLE` for what may not be read and is kept, and the reason
 * of `signal`. Follows fsutil's `NewFS` and `NewFilterFS`.
 */
export async function* walk(
  folder: LocalFolder,
  filter: Judge,
  signal: AbortSignal,
): AsyncGenerator<WalkEntry, void, undefined> {
  const open = [await openFolder(folder, undefined)];
  for (let current = open.at(-1); current !== undefined; current = open.at(-1)) {
    signal.throwIfAborted();
    const entry = current.found.pop();
    if (entry !== undefined) {
      if (entry.kept) {
        yield* unannounced(open);
        yield entry;
      }
      if (entry.stats.isDirectory()) open.push(await openFolder(folder, entry));
    } else if (current.seen < current.names.length) {
      await lookAtNext(folder, filter, current);
    } else {
      open.pop();
    }
  }
}

async function openFolder(
  folder: LocalFolder,
  entry: JudgedEntry | undefined,
): Promise<OpenFolder> {
  return {
    entry,
    prefix: entry === undefined ? '' : `${entry.path}/`,
    state: entry?.state ?? rootFilterState,
    names: await namesIn(folder, entry),
    seen: 0,
    found: [],
    announced: entry?.kept ?? true,
  };
}

async function namesIn(folder: LocalFolder, entry: JudgedEntry | undefined): Promise<ByteString[]> {
  const path = entry?.path ?? '';
  try {
    return await folder.names(path);
  } catch (error) {
    if (entry !== undefined && isMissing(error)) return [];
    if (entry?.kept === false && isForbidden(error)) return [];
    throw folder.cannotRead(path, error);
  }
}

/** Folders that are on the way to an entry that is kept, and were not kept themselves. */
function* unannounced(open: readonly OpenFolder[]): Generator<WalkEntry, void, undefined> {
  for (const each of open) {
    if (!each.announced && each.entry !== undefined) yield each.entry;
    each.announced = true;
  }
}

async function lookAtNext(folder: LocalFolder, filter: Judge, current: OpenFolder): Promise<void> {
  const names = current.names.slice(current.seen, current.seen + batchSize);
  current.seen += names.length;
  const looks: Promise<JudgedEntry | undefined>[] = [];
  for (const name of names) {
    const path = current.prefix + name;
    const { verdict, state } = filter.judge(path, current.state);
    if (verdict !== 'prune') looks.push(lookAt(folder, { path, kept: verdict === 'keep', state }));
  }
  // Matching alone never waits, and a big folder would keep everything else from happening.
  if (looks.length === 0) await nextTurn();
  const entries = await Promise.all(looks);
  current.found = entries.filter((entry) => entry !== undefined).reverse();
}

async function lookAt(
  folder: LocalFolder,
  judged: Omit<JudgedEntry, 'stats' | 'linkTarget'>,
): Promise<JudgedEntry | undefined> {
  const { path, kept, state } = judged;
  try {
    const stats = await folder.stats(path);
    if (!kept && !stats.isDirectory()) return undefined;
    const linkTarget = stats.isSymbolicLink() ? await folder.linkTarget(path) : undefined;
    return { path, kept, state, stats, linkTarget };
  } catch (error) {
    if (isMissing(error) || (!kept && isForbidden(error))) return undefined;
    throw folder.cannotRead(path, error);
  }
}
