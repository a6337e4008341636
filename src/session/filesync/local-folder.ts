import { closeSync, constants, openSync, readSync, type BigIntStats } from 'node:fs';
import { lstat, open, readdir, readlink, realpath, stat, type FileHandle } from 'node:fs/promises';
import { getSystemErrorMessage } from 'node:util';
import { messageOf } from '../../shared/errors.ts';
import { SessionError } from '../errors.ts';
import { fromBytes, quoted, toBytes, toText, type ByteString } from './byte-string.ts';

const missingCodes: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR']);
const forbiddenCodes: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM']);
/** What opening a link fails with when links are not to be followed. */
const linkCodes: ReadonlySet<unknown> = new Set(['ELOOP']);

const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A folder of this machine that is sent; all paths are relative to it. */
export class LocalFolder {
  /** What the build calls it, such as `context`. */
  readonly name: string;
  readonly #root: ByteString;

  private constructor(name: string, root: ByteString) {
    this.name = name;
    this.#root = root;
  }

  /**
   * Looks the folder up; a link to a folder is as good.
   *
   * Throws `SessionError` `SESSION_CONTEXT_UNREADABLE` when there is no such folder.
   */
  static async at(root: string, name: string): Promise<LocalFolder> {
    try {
      if ((await stat(root)).isDirectory()) {
        return new LocalFolder(name, fromBytes(await realpath(root, { encoding: 'buffer' })));
      }
    } catch (error) {
      throw noFolder(`cannot read the folder ${root} for "${name}": ${reasonOf(error)}`, error);
    }
    throw noFolder(`cannot send ${root} for "${name}": it is not a folder`);
  }

  /** What is at `path` itself, links not followed; rejects with the system's error. */
  async stats(path: ByteString): Promise<BigIntStats> {
    return lstat(this.#locate(path), { bigint: true });
  }

  /** The text of the link at `path`; rejects with the system's error. */
  async linkTarget(path: ByteString): Promise<ByteString> {
    return fromBytes(await readlink(this.#locate(path), { encoding: 'buffer' }));
  }

  /** Names in the folder at `path`, in the order of their bytes; rejects with the system's error. */
  async names(path: ByteString): Promise<ByteString[]> {
    const names = await readdir(this.#locate(path), { encoding: 'latin1' });
    return names.sort();
  }

  /**
   * Opens what was a regular file when it was listed; rejects with the system's error.
   *
   * Should a link or a FIFO have taken its place, the link is not followed and the FIFO not waited
   * for.
   */
  async openFile(path: ByteString): Promise<FileHandle> {
    return open(this.#locate(path), openFlags);
  }

  /** Up to `maxBytes` from the beginning of a file, opened as by `openFile`, at once. */
  readNow(path: ByteString, maxBytes: number): Buffer {
    const descriptor = openSync(this.#locate(path), openFlags);
    try {
      const buffer = Buffer.allocUnsafe(maxBytes);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, maxBytes, null));
    } finally {
      closeSync(descriptor);
    }
  }

  /** The error for an entry that cannot be read; `cause` is the system's error. */
  cannotRead(path: ByteString, cause: unknown): SessionError {
    if (isMissing(cause)) return this.changed(path, 'it is gone');
    if (hasCode(cause, linkCodes)) return this.changed(path, 'it is a link by now');
    return new SessionError(
      'SESSION_CONTEXT_UNREADABLE',
      `cannot read ${quoted(path)} in ${this.#description()}: ${reasonOf(cause)}`,
      {
        hint: 'Make it readable for the user that runs the job, or list it in .dockerignore.',
        cause,
      },
    );
  }

  /** The error for an entry that is not what it was when it was listed. */
  changed(path: ByteString, how: string): SessionError {
    return new SessionError(
      'SESSION_CONTEXT_UNREADABLE',
      `${quoted(path)} in ${this.#description()} changed while it was sent to BuildKit: ${how}`,
      {
        hint: 'Let whatever writes there end before the build starts, or list the path in .dockerignore.',
      },
    );
  }

  #description(): string {
    return `${toText(this.#root)}, sent as "${this.name}"`;
  }

  #locate(path: ByteString): Buffer {
    return toBytes(path === '' ? this.#root : `${this.#root}/${path}`);
  }
}

/** Whether there was nothing at a path. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, missingCodes);
}

/** Whether something may not be looked at. */
export function isForbidden(error: unknown): boolean {
  return hasCode(error, forbiddenCodes);
}

function hasCode(error: unknown, codes: ReadonlySet<unknown>): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.has(error.code);
}

function noFolder(message: string, cause?: unknown): SessionError {
  return new SessionError('SESSION_CONTEXT_UNREADABLE', message, {
    hint: 'Check the path, and that the step that puts the folder there, such as checkout, ran before.',
    cause,
  });
}

/** The system's own words, without the call and the absolute path that Node adds. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('errno' in error)) return messageOf(error);
  return typeof error.errno === 'number' ? getSystemErrorMessage(error.errno) : messageOf(error);
}
