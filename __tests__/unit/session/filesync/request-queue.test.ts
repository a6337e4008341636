import { describe, expect, it } from '@jest/globals';
import { RequestQueue } from '../../../../src/session/filesync/request-queue.ts';

async function drain(queue: RequestQueue): Promise<number[]> {
  const taken: number[] = [];
  for (let id = await queue.take(); id !== undefined; id = await queue.take()) taken.push(id);
  return taken;
}

describe('RequestQueue', () => {
  it('gives each value to one taker, in order, and lets all go when closed', async () => {
    const queue = new RequestQueue();
    const takers = [drain(queue), drain(queue), drain(queue)];
    for (let id = 0; id < 1000; id += 1) {
      queue.push(id);
      if (id % 3 === 0) await Promise.resolve();
    }
    queue.close();
    const taken = await Promise.all(takers);

    for (const each of taken) expect(each).toEqual([...each].sort((a, b) => a - b));
    expect(taken.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, id) => id));
  });

  it('gives out what is left after it was closed', async () => {
    const queue = new RequestQueue();
    queue.push(1);
    queue.push(2);
    queue.close();
    expect(await drain(queue)).toEqual([1, 2]);
  });

  it('forgets what is left when cleared', async () => {
    const queue = new RequestQueue();
    const waiting = queue.take();
    queue.clear();
    queue.push(1);
    queue.clear();
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
  });
});
