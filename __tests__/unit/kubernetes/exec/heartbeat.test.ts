import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { Heartbeat } from '../../../../src/kubernetes/exec/heartbeat.ts';

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

function start(patience: () => number): { heartbeat: Heartbeat; log: string[] } {
  const log: string[] = [];
  const heartbeat = new Heartbeat({
    intervalMs: 1000,
    patience,
    ping: () => log.push('ping'),
    onDead: (silentMs) => {
      log.push(`dead after ${silentMs}`);
      heartbeat[Symbol.dispose]();
    },
  });
  return { heartbeat, log };
}

describe('Heartbeat', () => {
  it('bears as many silent intervals as it may, and no more', () => {
    const { log } = start(() => 2);
    jest.advanceTimersByTime(10_000);
    expect(log).toEqual(['ping', 'ping', 'dead after 2000']);
  });

  it('starts anew with every sign of life', () => {
    const { heartbeat, log } = start(() => 2);
    for (let count = 0; count < 10; count += 1) {
      jest.advanceTimersByTime(2000);
      heartbeat.alive();
    }
    expect(log).toEqual(Array.from({ length: 20 }, () => 'ping'));
  });

  it('asks for its patience each time', () => {
    let patience = Infinity;
    const { log } = start(() => patience);
    jest.advanceTimersByTime(5000);
    patience = 6;
    jest.advanceTimersByTime(1000);
    expect(log).not.toContain('dead after 6000');
    jest.advanceTimersByTime(1000);
    expect(log.at(-1)).toBe('dead after 6000');
  });

  it('stops', () => {
    const { heartbeat, log } = start(() => 2);
    heartbeat[Symbol.dispose]();
    jest.advanceTimersByTime(10_000);
    expect(log).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
