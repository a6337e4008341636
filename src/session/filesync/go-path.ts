import { posix } from 'node:path';
import type { ByteString } from './byte-string.ts';

/** The shortest path that says the same, as Go's `filepath.Clean` on Unix: never ends in a slash. */
export function cleanPath(path: ByteString): ByteString {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Joins what is not empty and cleans the result; an absolute part does not start over. */
export function joinPath(first: ByteString, second: ByteString): ByteString {
  return cleanPath([first, second].filter((part) => part !== '').join('/'));
}

/** Everything before the last element of a clean path, `.` where there is nothing. */
export function parentOf(path: ByteString): ByteString {
  return posix.dirname(path);
}

/** The last element of a clean path. */
export function lastElement(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}
