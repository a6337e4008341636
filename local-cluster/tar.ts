/**
 * Writes tar archives, as image layers and image archives are.
 *
 * Written by hand because layers of the rootless image carry file capabilities, binary values in
 * extended headers that tar libraries force into UTF-8. The output depends on nothing but the
 * entries: no clock, no user, no folder order.
 */
import { readFile } from 'node:fs/promises';

const blockSize = 512;

/** One entry of an archive. */
export interface TarEntry {
  path: string;
  type: 'file' | 'folder' | 'link';
  mode: number;
  /** User and group; root when left out. */
  owner?: number | undefined;
  /** What a file holds: the bytes, or `from`, the path of a file to read when it is its turn. */
  content?: Buffer | { from: string };
  /** Where a symbolic link points. */
  target?: string;
  /** Value of `security.capability`. */
  capability?: Buffer | undefined;
}

/** Yields the archive piece by piece. */
export async function* tarArchive(entries: Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    if (entry.capability !== undefined) yield* extendedHeader(entry.path, entry.capability);
    const content = await contentOf(entry);
    yield header(entry, content.length);
    if (content.length > 0) yield* [content, padding(content.length)];
  }
  yield Buffer.alloc(2 * blockSize);
}

async function contentOf(entry: TarEntry): Promise<Buffer> {
  if (entry.content === undefined) return Buffer.alloc(0);
  return Buffer.isBuffer(entry.content) ? entry.content : readFile(entry.content.from);
}

function* extendedHeader(path: string, capability: Buffer): Generator<Buffer> {
  const record = paxRecord('SCHILY.xattr.security.capability', capability);
  yield header({ path, type: 'file', mode: 0o644 }, record.length, 'x');
  yield record;
  yield padding(record.length);
}

/** A record of an extended header, which begins with its own length in decimal digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

const typeFlags = { file: '0', link: '2', folder: '5' };

function header(entry: TarEntry, size: number, flag: string = typeFlags[entry.type]): Buffer {
  const name = entry.path + (entry.type === 'folder' ? '/' : '');
  if (Buffer.byteLength(name) > 100) throw new Error(`Path too long for an archive: ${name}`);
  const block = Buffer.alloc(blockSize);
  const owner = octal(entry.owner ?? 0, 7);
  block.write(name, 0);
  block.write(octal(entry.mode, 7), 100);
  block.write(owner, 108);
  block.write(owner, 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(' '.repeat(8), 148);
  block.write(flag, 156);
  block.write(entry.target ?? '', 157, 100);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function padding(length: number): Buffer {
  return Buffer.alloc((blockSize - (length % blockSize)) % blockSize);
}
