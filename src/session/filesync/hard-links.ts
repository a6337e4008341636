import type { BigIntStats } from 'node:fs';
import type { ByteString } from './byte-string.ts';

/**
 * Finds hard links among the entries that are sent, in the order in which they are sent.
 *
 * fsutil numbers links before it filters, and mends those whose first name was left out in a second
 * pass (`WithHardlinkReset`); looking only at what is sent gives the same in one. Unlike fsutil this
 * tells devices apart, so that files of two mounted file systems are not taken for one.
 */
export class HardLinks {
  readonly #firstPaths = new Map<string, ByteString>();

  /** The path that the same file was sent under before; undefined the first time. */
  earlierPath(path: ByteString, stats: BigIntStats): ByteString | undefined {
    if (stats.nlink < 2n || stats.isDirectory() || stats.isSymbolicLink()) return undefined;
    const identity = `${stats.dev}:${stats.ino}`;
    const first = this.#firstPaths.get(identity);
    if (first === undefined) this.#firstPaths.set(identity, path);
    return first;
  }
}
