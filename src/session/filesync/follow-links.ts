import type { Automaton } from './automaton.ts';
import { toText, type ByteString } from './byte-string.ts';
import { compileGlob, hasWildcard, PatternSyntaxError } from './glob.ts';
import { cleanPath, joinPath, lastElement, parentOf } from './go-path.ts';
import { isMissing, type LocalFolder } from './local-folder.ts';

/** How many entries are looked at together. */
const batchSize = 64;

/**
 * Finds what must be sent so that these paths lead somewhere: the paths, and the links on the way
 * with what they lead to. Wildcards are kept, to be matched later.
 *
 * Nothing outside the folder is looked at: absolute links start at its root, and `..` ends there.
 * Undefined means everything. Throws `SessionError` `SESSION_CONTEXT_UNREADABLE`. Follows fsutil's
 * `FollowLinks`.
 */
export async function followLinks(
  folder: LocalFolder,
  paths: readonly ByteString[],
  signal: AbortSignal,
): Promise<readonly ByteString[] | undefined> {
  const resolver = new LinkResolver(folder, signal);
  for (const path of paths) await resolver.follow(path);
  return withoutNested([...resolver.found].sort());
}

/**
 * Drops each path that is below the one kept before it; undefined if the root is among them.
 *
 * Meant for a sorted list, but fsutil's `dedupePaths` is used on others, which this must follow.
 */
export function withoutNested(paths: readonly ByteString[]): readonly ByteString[] | undefined {
  if (paths.includes('.')) return undefined;
  let last = '';
  return paths.filter((path) => {
    if (path.startsWith(`${last}/`)) return false;
    last = path;
    return true;
  });
}

class LinkResolver {
  readonly found = new Set<ByteString>();
  readonly #folder: LocalFolder;
  readonly #signal: AbortSignal;

  constructor(folder: LocalFolder, signal: AbortSignal) {
    this.#folder = folder;
    this.#signal = signal;
  }

  async follow(path: ByteString): Promise<void> {
    const elements = joinPath('.', path).split('/');
    let current = '.';
    for (const [index, element] of elements.entries()) {
      this.#signal.throwIfAborted();
      current = joinPath(current, element);
      const targets = await this.#targets(current);
      const isLast = index === elements.length - 1;
      if (!isLast && targets.length === 0) continue;
      // Having been here before, perhaps on the way around a loop of links.
      if (this.found.has(current)) return;
      this.found.add(current);
      if (targets.length === 0) return;
      const rest = elements.slice(index + 1).join('/');
      for (const target of targets) await this.follow(joinPath(target, rest));
      return;
    }
  }

  /** Where the links lead that `path` names or, with wildcards in its last element, matches. */
  async #targets(path: ByteString): Promise<ByteString[]> {
    if (path === '.' || path === '..' || path.startsWith('../')) return [];
    if (!hasWildcard(lastElement(path))) return this.#target(path);
    const names = await this.#matchingNames(parentOf(path), lastElement(path));
    const targets: ByteString[] = [];
    for (let start = 0; start < names.length; start += batchSize) {
      this.#signal.throwIfAborted();
      const paths = names
        .slice(start, start + batchSize)
        .map((name) => joinPath(parentOf(path), name));
      targets.push(...(await Promise.all(paths.map((each) => this.#target(each)))).flat());
    }
    return targets;
  }

  async #matchingNames(parent: ByteString, pattern: ByteString): Promise<ByteString[]> {
    const glob = globOf(pattern);
    if (glob === undefined) return [];
    try {
      const names = await this.#folder.names(parent === '.' ? '' : parent);
      return names.filter((name) => glob.test(toText(name)));
    } catch (error) {
      if (isMissing(error)) return [];
      throw this.#folder.cannotRead(parent, error);
    }
  }

  /** Where `path` leads, from the root of the folder, if it is a link. */
  async #target(path: ByteString): Promise<ByteString[]> {
    try {
      const stats = await this.#folder.stats(path);
      if (!stats.isSymbolicLink()) return [];
      const link = cleanPath(await this.#folder.linkTarget(path));
      return [link.startsWith('/') ? link : joinPath('/', joinPath(parentOf(path), link))];
    } catch (error) {
      if (isMissing(error)) return [];
      throw this.#folder.cannotRead(path, error);
    }
  }
}

/** Undefined for what is no glob: it matches nothing here and is refused as a pattern later. */
function globOf(pattern: ByteString): Automaton | undefined {
  try {
    return compileGlob(pattern);
  } catch (error) {
    if (error instanceof PatternSyntaxError) return undefined;
    throw error;
  }
}
