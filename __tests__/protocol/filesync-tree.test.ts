/** What is listed of real folders, against what fsutil lists of the same ones. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionError } from '../../src/session/errors.ts';
import { FileSyncProvider } from '../../src/session/filesync/provider.ts';
import { FileReceiver, type ReceivedStat } from '../helpers/file-receiver.ts';

/** Names and targets have one character per byte. */
interface TreeNode {
  readonly path: string;
  readonly type: 'dir' | 'file' | 'link' | 'hardlink' | 'fifo' | 'socket' | 'char' | 'block';
  readonly mode?: string;
  readonly text?: string;
  readonly target?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Time of the last change. */
  readonly seconds?: number;
}

interface ListedStat {
  readonly path: string;
  readonly mode: string;
  readonly size?: number;
  readonly linkname?: string;
  readonly modTime?: string;
  readonly dev?: string;
}

interface TreeCase {
  readonly name: string;
  readonly includes?: readonly string[];
  readonly excludes?: readonly string[];
  readonly follow?: readonly string[];
  /** fsutil fails. */
  readonly error?: boolean;
  readonly stats: readonly ListedStat[];
}

interface Tree {
  readonly name: string;
  readonly nodes: readonly TreeNode[];
  readonly cases: readonly TreeCase[];
}

const trees = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/filesync/trees.json'), 'utf8'),
) as readonly Tree[];

const isRoot = process.getuid?.() === 0;
const sockets: Server[] = [];

async function build(root: string, nodes: readonly TreeNode[]): Promise<void> {
  const at = (path: string): Buffer => Buffer.from(`${root}/${path}`, 'latin1');
  const bytes = (path = ''): Buffer => Buffer.from(path, 'latin1');
  for (const { path, type, mode, text = '', target = '', major, minor, seconds } of nodes) {
    const where = at(path);
    if (type === 'dir') mkdirSync(where);
    if (type === 'file') writeFileSync(where, text, { mode: 0o644 });
    if (type === 'link') symlinkSync(bytes(target), where);
    if (type === 'hardlink') linkSync(at(target), where);
    if (type === 'fifo') execFileSync('mkfifo', ['-m', '644', where.toString()]);
    if (type === 'char' || type === 'block') {
      const kind = type === 'char' ? 'c' : 'b';
      execFileSync('mknod', ['-m', '644', where.toString(), kind, `${major}`, `${minor ?? 0}`]);
    }
    if (type === 'socket') {
      const server = createServer().listen(where.toString());
      await once(server, 'listening');
      sockets.push(server);
    }
    if (mode !== undefined) chmodSync(where, Number.parseInt(mode, 8));
    if (seconds !== undefined) {
      const time = new Date(seconds * 1000);
      utimesSync(where, time, time);
    }
  }
}

/** Sends values as the daemon does: all of a header escaped if one is not ASCII. */
function headersOf({ includes, excludes, follow }: TreeCase): Record<string, string[]> {
  const headers: Record<string, string[]> = { 'dir-name': ['context'] };
  const add = (name: string, values: readonly string[] = []): void => {
    if (values.length === 0) return;
    const isEncoded = values.some((value) => /[\x80-\xff]/.test(value));
    headers[name] = values.map((value) => (isEncoded ? queryEscape(value) : value));
    if (isEncoded) headers[`${name}-encoded`] = ['1'];
  };
  add('include-patterns', includes);
  add('exclude-patterns', excludes);
  add('followpaths', follow);
  return headers;
}

function queryEscape(value: string): string {
  return value.replace(/[^0-9A-Za-z_.~-]/g, (character) =>
    character === ' ' ? '+' : `%${Buffer.from(character, 'latin1').toString('hex').toUpperCase()}`,
  );
}

function listed(stat: ReceivedStat, nodes: readonly TreeNode[]): ListedStat {
  const { path, mode, size, linkname, modTime, devmajor, devminor } = stat;
  const isTimed = nodes.some((node) => node.path === path && node.seconds !== undefined);
  return {
    path,
    mode: `0x${mode.toString(16)}`,
    ...(size > 0n && { size: Number(size) }),
    ...(linkname !== '' && { linkname }),
    ...(isTimed && { modTime: `${modTime}` }),
    ...(devmajor + devminor > 0n && { dev: `${devmajor}:${devminor}` }),
  };
}

describe.each(trees.map((tree) => [tree.name, tree] as const))('tree of %s', (name, tree) => {
  const needsRoot = tree.nodes.some(({ type }) => type === 'char' || type === 'block');
  const test = needsRoot && !isRoot ? it.skip : it;
  let root: string;

  beforeAll(async () => {
    const umask = process.umask(0o022);
    root = mkdtempSync(join(tmpdir(), 'tree-'));
    if (!needsRoot || isRoot) await build(root, tree.nodes);
    process.umask(umask);
  });

  afterAll(() => {
    for (const server of sockets.splice(0)) server.close();
    rmSync(root, { recursive: true });
  });

  test.each(tree.cases.map((each) => [each.name, each] as const))(
    `lists ${name}: %s`,
    async (_, expected) => {
      const receiver = new FileReceiver(headersOf(expected), { wants: () => false });
      const provider = new FileSyncProvider(new Map([['context', { root }]]));
      const transfer = provider.methods[receiver.method]!(receiver);
      if (expected.error === true) {
        await expect(transfer).rejects.toThrow(SessionError);
        return;
      }
      await transfer;
      expect(receiver.finished).toBe(true);
      expect(receiver.stats.map((stat) => listed(stat, tree.nodes))).toEqual(expected.stats);
      expect(receiver.stats.every(({ uid, gid }) => uid === 0 && gid === 0)).toBe(true);
    },
  );
});
