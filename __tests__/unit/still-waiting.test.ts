import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StillWaiting } from '../../src/still-waiting.ts';

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

function start() {
  const lines: string[] = [];
  const waiting = new StillWaiting({ silentMs: () => 3_000, tell: (line) => lines.push(line) });
  return { lines, waiting };
}

const minute = 60_000;

describe('StillWaiting', () => {
  it('says that the builder answers, with the proof, ever more rarely', () => {
    const { lines, waiting } = start();
    jest.advanceTimersByTime(13 * minute);
    expect(lines).toEqual(
      [1, 3, 7, 12].map(
        (minutes) =>
          `still waiting, builder answered 3 s ago (no output for ${String(minutes * 60)} s)`,
      ),
    );
    waiting[Symbol.dispose]();
  });

  it('is silent while there is news, and starts anew after it', () => {
    const { lines, waiting } = start();
    for (let count = 0; count < 10; count += 1) {
      jest.advanceTimersByTime(minute - 1);
      waiting.news();
    }
    expect(lines).toEqual([]);
    jest.advanceTimersByTime(minute);
    expect(lines).toHaveLength(1);
    waiting[Symbol.dispose]();
  });

  it('stops', () => {
    const { lines, waiting } = start();
    waiting[Symbol.dispose]();
    jest.advanceTimersByTime(10 * minute);
    expect([lines, jest.getTimerCount()]).toEqual([[], 0]);
  });
});
