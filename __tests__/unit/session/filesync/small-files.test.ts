import { describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SmallFiles } from '../../../../src/session/filesync/small-files.ts';

const content = Buffer.from('content');
const file = { path: 'a', sizeBytes: content.length, isSocket: false };

/** A folder whose files take so long to read. */
function folderOf(readMs: number) {
  return {
    readNow: (): Buffer => {
      const endMs = performance.now() + readMs;
      while (performance.now() < endMs);
      return content;
    },
  };
}

describe('SmallFiles', () => {
  it('leaves large files to others', async () => {
    const small = new SmallFiles(folderOf(0));
    expect(await small.read({ ...file, sizeBytes: 64 * 1024 })).toBe(content);
    expect(await small.read({ ...file, sizeBytes: 64 * 1024 + 1 })).toBeUndefined();
  });

  it('leaves most files of a slow file system to others', async () => {
    const small = new SmallFiles(folderOf(3));
    let read = 0;
    for (let count = 0; count < 130; count += 1) {
      if ((await small.read(file)) !== undefined) read += 1;
    }
    expect(read).toBe(2);
  });

  it('lets other things happen now and then', async () => {
    const small = new SmallFiles(folderOf(0.1));
    let turns = 0;
    const end = new AbortController();
    const other = (async () => {
      for (; !end.signal.aborted; turns += 1) await nextTurn();
    })();
    for (let count = 0; count < 500; count += 1) await small.read(file);
    end.abort();
    await other;
    expect(turns).toBeGreaterThan(1);
  });
});
