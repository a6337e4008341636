import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileContent } from '../../../../src/session/filesync/file-content.ts';
import { LocalFolder } from '../../../../src/session/filesync/local-folder.ts';
import { SmallFiles } from '../../../../src/session/filesync/small-files.ts';

const chunkBytes = 256 * 1024;
const file = { path: 'disk-image', sizeBytes: 4 * chunkBytes, isSocket: false };

/** A disk on which the first read works and the second one does what the test says. */
class SlowHandle {
  readonly second = Promise.withResolvers<{ bytesRead: number }>();
  reads = 0;
  pendingReads = 0;
  closedWithPendingReads: number | undefined;

  async read(_buffer: Buffer, _offset: number, length: number): Promise<{ bytesRead: number }> {
    this.reads += 1;
    if (this.reads === 1) return { bytesRead: length };
    this.pendingReads += 1;
    try {
      return await this.second.promise;
    } finally {
      this.pendingReads -= 1;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.closedWithPendingReads = this.pendingReads;
    return Promise.resolve();
  }
}

let root: string;
let folder: LocalFolder;
let handle: SlowHandle;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'content-'));
  handle = new SlowHandle();
  folder = Object.assign(await LocalFolder.at(root, 'context'), {
    openFile: () => Promise.resolve(handle as unknown as FileHandle),
  });
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('reading ahead', () => {
  it('keeps a failure until the chunk before it is taken', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on('unhandledRejection', onUnhandled);
    const content = fileContent(folder, file, new SmallFiles(folder));

    expect((await content.next()).value).toHaveLength(chunkBytes);
    handle.second.reject(Object.assign(new Error('EIO: i/o error, read'), { errno: -5 }));
    await nextTurn();
    await nextTurn();
    await expect(content.next()).rejects.toThrow(
      `cannot read "disk-image" in ${root}, sent as "context": i/o error`,
    );
    process.off('unhandledRejection', onUnhandled);

    expect(unhandled).toEqual([]);
    expect(handle.closedWithPendingReads).toBe(0);
  });

  it('does not close the file under a read when nobody wants the rest', async () => {
    const content = fileContent(folder, file, new SmallFiles(folder));
    await content.next();
    const ending = content.return(undefined);
    await nextTurn();
    expect(handle.pendingReads).toBe(1);
    expect(handle.closedWithPendingReads).toBeUndefined();

    handle.second.resolve({ bytesRead: chunkBytes });
    await ending;
    expect(handle.closedWithPendingReads).toBe(0);
  });
});
