import type { ByteString } from './byte-string.ts';

/** A file whose content the daemon may ask for. */
export interface ListedFile {
  readonly path: ByteString;
  /** As it was when the file was listed. */
  readonly sizeBytes: number;
  /** A socket is listed as a regular file and has no content. */
  readonly isSocket: boolean;
}

/** Stands for the size of a socket. */
const socketSize = -1;

/**
 * The files that were listed and not asked for yet, by the number of their entry.
 *
 * Two plain arrays: a context has up to millions of files, and the list is all that is kept of it.
 */
export class ListedFiles {
  readonly #paths: (ByteString | undefined)[] = [];
  readonly #sizes: number[] = [];

  /** How many entries were listed. */
  get entries(): number {
    return this.#paths.length;
  }

  /** Adds the next entry; without a file for one that has no content. */
  add(file?: ListedFile): void {
    this.#paths.push(file?.path);
    this.#sizes.push(file?.isSocket === false ? file.sizeBytes : socketSize);
  }

  /** Removes a file; undefined when there is none of that number, or no longer. */
  take(id: number): ListedFile | undefined {
    const path = this.#paths[id];
    const size = this.#sizes[id];
    if (path === undefined || size === undefined) return undefined;
    this.#paths[id] = undefined;
    return { path, sizeBytes: Math.max(size, 0), isSocket: size === socketSize };
  }
}
