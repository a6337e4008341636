/** Transfers of folders to a receiver that checks them as fsutil's does. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { grpcStatus, SessionError } from '../../src/session/errors.ts';
import { FileSyncProvider, type Transfer } from '../../src/session/filesync/provider.ts';
import {
  FileReceiver,
  type ReceivedPacket,
  type ReceiverOptions,
} from '../helpers/file-receiver.ts';

const chunkBytes = 256 * 1024;
const isStat = ({ type, stat }: ReceivedPacket): boolean => type === 0 && stat !== undefined;
const isListEnd = ({ type, stat }: ReceivedPacket): boolean => type === 0 && stat === undefined;
const isContent = ({ type, data }: ReceivedPacket): boolean => type === 2 && data.length > 0;

let root: string;
let transfers: Transfer[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sync-'));
  transfers = [];
});

afterEach(() => {
  // Whatever way a transfer ended, it must have let go of every file.
  expect(openFilesBelow(root)).toEqual([]);
  rmSync(root, { recursive: true });
});

function write(files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

function openFilesBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(folder) ? [target] : [];
    } catch {
      return [];
    }
  });
}

function start(receiver: FileReceiver, folder = root): Promise<void> {
  const provider = new FileSyncProvider(new Map([['context', { root: folder }]]), (transfer) => {
    transfers.push(transfer);
  });
  return provider.methods[receiver.method]!(receiver);
}

function receive(
  options: ReceiverOptions = {},
  headers: Record<string, string[]> = {},
): { receiver: FileReceiver; transfer: Promise<void> } {
  const receiver = new FileReceiver({ 'dir-name': ['context'], ...headers }, options);
  return { receiver, transfer: start(receiver) };
}

async function failure(transfer: Promise<void>): Promise<SessionError> {
  const error: unknown = await transfer.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SessionError)) throw new Error('no SessionError', { cause: error });
  return error;
}

/** Runs as a user without rights, where the tests run as root. */
async function unprivileged<T>(action: () => Promise<T>): Promise<T> {
  const user = process.geteuid?.();
  if (user !== 0) return action();
  chmodSync(root, 0o755);
  process.seteuid?.(65534);
  try {
    return await action();
  } finally {
    process.seteuid?.(0);
  }
}

describe('a transfer', () => {
  it('brings every byte, whatever the size of a file is to that of a packet', async () => {
    const sizes = [0, 1, 4095, 4096, 65_536].concat(
      [1, 2, 5].flatMap((n) => [n * chunkBytes - 1, n * chunkBytes, n * chunkBytes + 1]),
    );
    const files = Object.fromEntries(
      sizes.map((size) => [`sub/${size % 3}/file-${size}`, randomBytes(size)]),
    );
    write(files);

    const { receiver, transfer } = receive();
    await transfer;

    expect(receiver.finished).toBe(true);
    expect([...receiver.files.keys()].sort()).toEqual(Object.keys(files).sort());
    for (const [path, content] of Object.entries(files)) {
      expect(receiver.files.get(path)!.equals(content)).toBe(true);
    }
    expect(transfers).toEqual([
      {
        name: 'context',
        entries: sizes.length + 4,
        files: sizes.length,
        bytesSent: sizes.reduce((sum, size) => sum + size),
      },
    ]);
    expect(receiver.largestPacketBytes).toBeGreaterThan(chunkBytes);
    expect(receiver.largestPacketBytes).toBeLessThan(chunkBytes + 32);
  });

  it.each(['at once', 'at the end'] as const)('answers requests that come %s', async (asks) => {
    const names = Array.from({ length: 3000 }, (_, n) => `${n % 7}/${n}.txt`);
    write(Object.fromEntries(names.map((name) => [name, `content of ${name}`])));

    const { receiver, transfer } = receive({ asks });
    await transfer;

    expect(receiver.files.size).toBe(3000);
    for (const name of names)
      expect(receiver.files.get(name)!.toString()).toBe(`content of ${name}`);
  });

  it('sends content while the list goes on', async () => {
    write(Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, 'x'])));
    const order: string[] = [];

    const { transfer } = receive({
      onPacket: (packet) => {
        if (isContent(packet)) order.push('content');
        if (isListEnd(packet)) order.push('end of list');
      },
    });
    await transfer;

    expect(order).toHaveLength(501);
    expect(order.indexOf('content')).toBeLessThan(order.indexOf('end of list'));
  });

  it('ends well when nothing is wanted, or nothing is there', async () => {
    await receive().transfer;
    write({ a: 'a', 'b/c': 'c' });
    await receive({ wants: () => false }).transfer;

    expect(transfers.map(({ entries, files, bytesSent }) => [entries, files, bytesSent])).toEqual([
      [0, 0, 0],
      [3, 0, 0],
    ]);
  });

  it('serves several at once', async () => {
    write({ big: randomBytes(3 * chunkBytes), small: 's' });
    const calls = [receive(), receive(), receive({}, { 'include-patterns': ['small'] })];
    await Promise.all(calls.map(({ transfer }) => transfer));

    expect(calls.map(({ receiver }) => receiver.files.size)).toEqual([2, 2, 1]);
  });

  it('sends a folder that a link leads to', async () => {
    write({ 'real/file': 'x' });
    symlinkSync('real', join(root, 'link'));
    const receiver = new FileReceiver({ 'dir-name': ['context'] });
    await start(receiver, join(root, 'link'));

    expect(receiver.stats.map(({ path }) => path)).toEqual(['file']);
  });

  it('sends hard links once and sockets as empty files', async () => {
    write({ one: 'same' });
    linkSync(join(root, 'one'), join(root, 'two'));
    const socket = createServer().listen(join(root, 'socket'));
    await once(socket, 'listening');

    const { receiver, transfer } = receive();
    await transfer;
    socket.close();

    expect(receiver.stats.map(({ path, linkname }) => [path, linkname])).toEqual([
      ['one', ''],
      ['socket', ''],
      ['two', 'one'],
    ]);
    expect(Object.fromEntries(receiver.files)).toEqual({
      one: Buffer.from('same'),
      socket: Buffer.alloc(0),
    });
  });
});

describe('back-pressure', () => {
  it('reads no further than one chunk ahead of what was taken', async () => {
    write({ big: Buffer.alloc(64 * chunkBytes) });
    const hold = Promise.withResolvers<undefined>();
    const held = Promise.withResolvers<undefined>();
    const { receiver, transfer } = receive({
      onPacket: async (packet) => {
        if (!isContent(packet) || receiver.dataPackets > 0) return;
        held.resolve(undefined);
        await hold.promise;
      },
    });
    await held.promise;
    await sleep(100);
    const position = /^pos:\s*(\d+)/m.exec(
      execFileSync('cat', [`/proc/${process.pid}/fdinfo/${fdOf(join(root, 'big'))}`]).toString(),
    );
    expect(Number(position?.[1])).toBe(2 * chunkBytes);

    hold.resolve(undefined);
    await transfer;
    expect(receiver.files.get('big')).toHaveLength(64 * chunkBytes);
  });

  it('opens no more than a few files while nothing is taken', async () => {
    write(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}`, 'content'])));
    const hold = Promise.withResolvers<undefined>();
    const held = Promise.withResolvers<undefined>();
    const { receiver, transfer } = receive({
      asks: 'at the end',
      onPacket: async (packet) => {
        if (!isContent(packet)) return;
        held.resolve(undefined);
        await hold.promise;
      },
    });
    await held.promise;
    await sleep(100);
    expect(openFilesBelow(root).length).toBeLessThanOrEqual(8);

    hold.resolve(undefined);
    await transfer;
    expect(receiver.files.size).toBe(300);
  });
});

function fdOf(path: string): string {
  const fd = readdirSync('/proc/self/fd').find((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`) === path;
    } catch {
      return false;
    }
  });
  if (fd === undefined) throw new Error(`${path} is not open`);
  return fd;
}

describe('cancelling', () => {
  it.each([
    ['while listing', isStat],
    ['while sending', isContent],
  ])('ends at once %s', async (_, isMoment) => {
    write(
      Object.fromEntries(
        Array.from({ length: 200 }, (__, n) => [`f${n}`, Buffer.alloc(chunkBytes + 1)]),
      ),
    );
    const { receiver, transfer } = receive({
      onPacket: (packet) => {
        if (isMoment(packet)) receiver.cancel();
      },
    });

    expect((await failure(transfer)).code).toBe('SESSION_CALL_CANCELLED');
    expect(receiver.error).toBeUndefined();
    expect(transfers).toEqual([]);
  });

  it('ends while it waits for the daemon', async () => {
    write({ a: 'a' });
    const listed = Promise.withResolvers<undefined>();
    const { receiver, transfer } = receive({
      wants: () => false,
      onPacket: async (packet) => {
        if (!isListEnd(packet)) return;
        listed.resolve(undefined);
        await new Promise(() => undefined);
      },
    });
    await listed.promise;
    receiver.cancel();

    expect((await failure(transfer)).code).toBe('SESSION_CALL_CANCELLED');
  });
});

describe('a daemon that breaks the rules', () => {
  beforeEach(() => {
    write({ 'folder/file': 'x', other: 'y' });
    execFileSync('mkfifo', [join(root, 'pipe')]);
  });

  it.each([
    ['no such entry', 17],
    ['a folder', 0],
    ['a FIFO', 3],
    ['a file again', 1],
  ])('is refused %s', async (_, id) => {
    const { receiver, transfer } = receive({
      onPacket: (packet) => {
        if (isListEnd(packet)) receiver.request(id);
      },
    });
    const error = await failure(transfer);

    expect(error.code).toBe('SESSION_PROTOCOL');
    expect(error.message).toContain(`invalid file id ${id}`);
    expect(receiver.error).toBe(error.message);
    expect(transfers).toEqual([]);
  });

  it('is refused what is no packet', async () => {
    const { receiver, transfer } = receive({
      onPacket: (packet) => {
        if (isListEnd(packet)) receiver.say(Buffer.from([0x08, 0x01, 0x18]));
      },
    });
    expect(await failure(transfer)).toMatchObject({ code: 'SESSION_PROTOCOL' });
  });

  it('is not trusted to have everything when it just hangs up', async () => {
    const { receiver, transfer } = receive({
      wants: () => false,
      onPacket: (packet) => {
        if (isStat(packet)) receiver.halfClose();
      },
    });
    const error = await failure(transfer);
    expect(error.code).toBe('SESSION_PROTOCOL');
    expect(error.message).toContain('before it had said that it has everything');
  });

  it('may give up and say why', async () => {
    const { receiver, transfer } = receive({
      onPacket: (packet) => {
        if (isContent(packet)) receiver.fail('no space left on device');
      },
    });
    const error = await failure(transfer);
    expect(error.code).toBe('SESSION_CALL_CANCELLED');
    expect(error.message).toBe(
      'the BuildKit daemon stopped receiving "context": no space left on device',
    );
  });
});

describe('requests', () => {
  it('are refused for a folder that the build does not have', async () => {
    for (const name of ['/etc', 'constructor', 'cont"ext', '']) {
      const error = await failure(start(new FileReceiver({ 'dir-name': [name] })));
      expect(error.message).toBe(`no access allowed to dir ${JSON.stringify(name)}`);
      expect(error.status).toBe(grpcStatus.notFound);
    }
    expect((await failure(start(new FileReceiver({})))).status).toBe(grpcStatus.notFound);
  });

  it('take header values as they are, or decode them as Go escapes them', async () => {
    write({ 'a+b%41': '1', 'a bA': '2', 'é x': '3', 'z,y': '4', '%zz': '5' });
    const listed = async (headers: Record<string, string[]>): Promise<string[]> => {
      const { receiver, transfer } = receive({ wants: () => false }, headers);
      await transfer;
      return receiver.stats.map(({ path }) => Buffer.from(path, 'latin1').toString());
    };

    expect(await listed({ 'include-patterns': ['a+b%41', 'z,y'] })).toEqual(['a+b%41', 'z,y']);
    const encoded = { 'include-patterns-encoded': ['1'] };
    expect(await listed({ ...encoded, 'include-patterns': ['a+b%41', '%C3%A9+x'] })).toEqual([
      'a bA',
      'é x',
    ]);
    expect(
      await listed({ 'include-patterns-encoded': ['0'], 'include-patterns': ['%C3%A9+x'] }),
    ).toEqual([]);
    expect(await listed({ ...encoded, 'include-patterns': ['%zz', 'z%2cy'] })).toEqual(['z,y']);
  });

  it('fail with the pattern that cannot be used, before anything is sent or later', async () => {
    write({ file: 'x' });
    const refused = receive({}, { 'exclude-patterns': ['ok', '!docs/[a'] });
    const error = await failure(refused.transfer);
    expect(error.code).toBe('SESSION_PATTERN_INVALID');
    expect(error.message).toBe(
      'cannot filter "context": pattern "!docs/[a" is not valid: it ends too early',
    );
    expect(error.hint).toContain('.dockerignore');
    expect(refused.receiver.stats).toEqual([]);
    const late = receive({}, { 'exclude-patterns': ['bin\\obj'] });
    const lateError = await failure(late.transfer);
    expect(lateError.code).toBe('SESSION_PATTERN_INVALID');
    expect(lateError.message).toContain('bin\\obj');
    expect(late.receiver.error).toBe(lateError.message);
  });
});

describe('what cannot be sent as it was listed', () => {
  /** Changes something after the list was read and before any content is. */
  async function changedAfterListing(change: () => void): Promise<SessionError> {
    const { receiver, transfer } = receive({
      asks: 'at the end',
      onPacket: (packet) => {
        if (isListEnd(packet)) change();
      },
    });
    const error = await failure(transfer);
    expect(receiver.error).toBe(error.message);
    expect(receiver.finished).toBe(false);
    expect(transfers).toEqual([]);
    expect(error.code).toBe('SESSION_CONTEXT_UNREADABLE');
    expect(error.hint).toMatch(/.{20}/);
    return error;
  }

  it.each<[string, string, (path: string) => void]>([
    [
      'is gone',
      'it is gone',
      (path) => {
        rmSync(path);
      },
    ],
    [
      'has become longer',
      '3 bytes and has more by now',
      (path) => {
        appendFileSync(path, 'x');
      },
    ],
    [
      'has become shorter',
      '3 bytes and has fewer by now',
      (path) => {
        truncateSync(path, 2);
      },
    ],
    [
      'has become empty',
      '3 bytes and has fewer by now',
      (path) => {
        truncateSync(path);
      },
    ],
    [
      'has become a link',
      'it is a link by now',
      (path) => {
        renameSync(path, `${path}.moved`);
        symlinkSync(`${path}.moved`, path);
      },
    ],
    [
      'has become a FIFO',
      '3 bytes and has fewer by now',
      (path) => {
        rmSync(path);
        execFileSync('mkfifo', [path]);
      },
    ],
    [
      'has become a folder',
      'illegal operation on a directory',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('is an error: a file that %s', async (_, reason, change) => {
    write({ 'sub/a "file"': 'abc' });
    const error = await changedAfterListing(() => {
      change(join(root, 'sub/a "file"'));
    });

    expect(error.message).toContain('"sub/a \\"file\\""');
    expect(error.message).toContain(`${root}, sent as "context"`);
    expect(error.message).toContain(reason);
  });

  it('is an error: an empty file that has content by now', async () => {
    write({ empty: '' });
    const error = await changedAfterListing(() => {
      appendFileSync(join(root, 'empty'), 'x');
    });
    expect(error.message).toContain('it was listed with 0 bytes and has more by now');
  });

  it('is an error: a folder of files that is gone', async () => {
    write({ 'folder/a': 'a', 'folder/b': 'b', keep: 'k' });
    const error = await changedAfterListing(() => {
      rmSync(join(root, 'folder'), { recursive: true });
    });
    expect(error.message).toMatch(/"folder\/[ab]".*it is gone/);
  });

  it.each([
    [
      'shorter',
      (path: string) => {
        truncateSync(path, 2 * chunkBytes);
      },
    ],
    [
      'longer',
      (path: string) => {
        appendFileSync(path, 'more');
      },
    ],
  ])('is an error: a file that becomes %s while it is read', async (_, change) => {
    write({ log: Buffer.alloc(10 * chunkBytes) });
    const { receiver, transfer } = receive({
      onPacket: (packet) => {
        if (isContent(packet) && receiver.dataPackets === 0) change(join(root, 'log'));
      },
    });
    const error = await failure(transfer);
    expect(error.message).toContain('"log"');
    expect(error.message).toContain(`listed with ${10 * chunkBytes} bytes`);
    expect(receiver.error).toBe(error.message);
    expect(receiver.files.has('log')).toBe(false);
  });

  it('is an error: a file or folder that may not be read', async () => {
    write({ secret: 's', 'folder/file': 'x', open: 'o' });
    chmodSync(join(root, 'secret'), 0);
    const file = await failure(unprivileged(() => receive().transfer));
    expect(file.code).toBe('SESSION_CONTEXT_UNREADABLE');
    expect(file.message).toBe(
      `cannot read "secret" in ${root}, sent as "context": permission denied`,
    );

    chmodSync(join(root, 'folder'), 0o311);
    const excludes = { 'exclude-patterns': ['secret'] };
    const folder = await failure(unprivileged(() => receive({}, excludes).transfer));
    expect(folder.message).toContain('cannot read "folder" in');
  });

  it('is no error while the patterns leave it out', async () => {
    write({ 'folder/file': 'x', 'folder/wanted': 'w', open: 'o' });
    chmodSync(join(root, 'folder'), 0o311);
    const { receiver, transfer } = await unprivileged(async () => {
      const call = receive({}, { 'exclude-patterns': ['folder', '!folder/wanted'] });
      await call.transfer;
      return call;
    });
    await transfer;
    expect([...receiver.files.keys()]).toEqual(['open']);
  });

  it('is left out: what vanishes while the list is made', async () => {
    // More than are looked at together, so that the last ones are gone when their turn comes.
    const names = Array.from({ length: 200 }, (_, n) => `f${String(n).padStart(3, '0')}`);
    write(Object.fromEntries(names.map((name) => [`dir/${name}`, name])));
    write({ 'dir/f199x/inner': 'i', last: 'l' });
    const { receiver, transfer } = receive({
      wants: ({ path }) => !path.startsWith('dir/'),
      onPacket: ({ stat }) => {
        if (stat?.path !== 'dir/f000') return;
        rmSync(join(root, 'dir/f198'));
        rmSync(join(root, 'dir/f199x'), { recursive: true });
      },
    });
    await transfer;

    expect(receiver.stats.map(({ path }) => path)).toEqual([
      'dir',
      ...names.filter((name) => name !== 'f198').map((name) => `dir/${name}`),
      'last',
    ]);
  });

  it('is an error: a root that is no folder', async () => {
    write({ file: 'x' });
    const missing = await failure(
      start(new FileReceiver({ 'dir-name': ['context'] }), join(root, 'missing')),
    );
    expect(missing.message).toBe(
      `cannot read the folder ${join(root, 'missing')} for "context": no such file or directory`,
    );
    const file = await failure(
      start(new FileReceiver({ 'dir-name': ['context'] }), join(root, 'file')),
    );
    expect(file.message).toBe(
      `cannot send ${join(root, 'file')} for "context": it is not a folder`,
    );
    expect(file.code).toBe('SESSION_CONTEXT_UNREADABLE');
  });
});
