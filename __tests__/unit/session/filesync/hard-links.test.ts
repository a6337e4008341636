import { expect, it } from '@jest/globals';
import type { BigIntStats } from 'node:fs';
import { HardLinks } from '../../../../src/session/filesync/hard-links.ts';

function file(dev: bigint, ino: bigint, nlink: bigint): BigIntStats {
  return { dev, ino, nlink, isDirectory: () => false, isSymbolicLink: () => false } as BigIntStats;
}

it('does not take files of two file systems for one because of their number', () => {
  const links = new HardLinks();
  expect(links.earlierPath('a', file(1n, 7n, 2n))).toBeUndefined();
  expect(links.earlierPath('mount/b', file(2n, 7n, 2n))).toBeUndefined();
  expect(links.earlierPath('c', file(1n, 7n, 2n))).toBe('a');
  expect(links.earlierPath('mount/d', file(2n, 7n, 2n))).toBe('mount/b');
});

it('does not look at files that have one name', () => {
  const links = new HardLinks();
  expect(links.earlierPath('a', file(1n, 7n, 1n))).toBeUndefined();
  expect(links.earlierPath('b', file(1n, 7n, 1n))).toBeUndefined();
});
