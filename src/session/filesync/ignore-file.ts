import { readFile } from 'node:fs/promises';
import { fromBytes, type ByteString } from './byte-string.ts';
import { cleanPath } from './go-path.ts';
import { trimSpace } from './patterns.ts';

/** A pattern and where it is written. */
export interface IgnoreLine {
  /** As the daemon passes it on. */
  readonly pattern: ByteString;
  /** From 1. */
  readonly line: number;
}

const byteOrderMark = '\xef\xbb\xbf';

/**
 * The patterns of a `.dockerignore`; rejects with the system's error.
 *
 * Follows `moby/patternmatcher/ignorefile`.
 */
export async function readIgnoreFile(path: string): Promise<IgnoreLine[]> {
  const text = fromBytes(await readFile(path));
  const lines = (text.startsWith(byteOrderMark) ? text.slice(3) : text).split('\n');
  return lines
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => !content.startsWith('#') && trimSpace(content) !== '')
    .map(({ content, line }) => ({ pattern: patternIn(trimSpace(content)), line }));
}

function patternIn(content: ByteString): ByteString {
  const sign = content.startsWith('!') ? '!' : '';
  const rest = trimSpace(content.slice(sign.length));
  if (rest === '') return sign;
  const path = cleanPath(rest);
  return sign + (path.length > 1 && path.startsWith('/') ? path.slice(1) : path);
}
