import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Liveness, type Silence } from '../../src/liveness.ts';

let open: Liveness | undefined;

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  open?.[Symbol.dispose]();
  jest.useRealTimers();
});

const hangs = (): Promise<never> => new Promise(() => undefined);

function start({
  bytesRead,
  probe = hangs,
  confirm,
}: {
  readonly bytesRead?: () => number;
  readonly probe?: () => Promise<unknown>;
  readonly confirm?: () => Promise<boolean>;
} = {}) {
  const seen = { bytes: 0, probes: 0, confirms: 0, dead: [] as Silence[] };
  open = new Liveness({
    bytesRead: bytesRead ?? (() => seen.bytes),
    probe: () => {
      seen.probes += 1;
      return probe();
    },
    ...(confirm === undefined
      ? {}
      : {
          confirm: () => {
            seen.confirms += 1;
            return confirm();
          },
        }),
    onDead: (silence) => seen.dead.push(silence),
  });
  return seen;
}

const seconds = (count: number): Promise<void> => jest.advanceTimersByTimeAsync(count * 1000);

describe('Liveness', () => {
  it('asks nothing of a daemon that talks', async () => {
    const seen = start();
    for (let second = 0; second < 100; second += 1) {
      seen.bytes += 1;
      await seconds(1);
    }
    expect(seen).toMatchObject({ probes: 0, dead: [] });
  });

  it('asks one that is quiet, and believes its answer', async () => {
    const seen = start({ probe: () => Promise.resolve() });
    await seconds(100);
    expect(seen.probes).toBeGreaterThan(30);
    expect(seen.dead).toEqual([]);
    expect(open?.silentMs).toBeLessThan(3000);
  });

  it('gives up after 8 s without any sign, once', async () => {
    const seen = start();
    await seconds(7);
    expect(seen.dead).toEqual([]);
    expect(seen.probes).toBe(1);
    await seconds(60);
    expect(seen.dead).toEqual([{ silentMs: 8000, podAnswers: false }]);
  });

  it('takes any byte for a sign, also when nothing is answered', async () => {
    const seen = start({ probe: () => Promise.reject(new Error('no answer')) });
    for (let round = 0; round < 10; round += 1) {
      await seconds(7);
      seen.bytes += 1;
    }
    expect(seen.dead).toEqual([]);
  });

  it('does not take a failed question for a sign', async () => {
    const seen = start({ probe: () => Promise.reject(new Error('no answer')) });
    await seconds(9);
    expect(seen.dead).toHaveLength(1);
  });

  it('gives a silent daemon a minute where its pod answers', async () => {
    const seen = start({ confirm: () => Promise.resolve(true) });
    await seconds(59);
    expect(seen).toMatchObject({ confirms: 1, dead: [] });
    await seconds(2);
    expect(seen.dead).toEqual([{ silentMs: 60_000, podAnswers: true }]);
  });

  it.each([
    ['does not answer either', hangs],
    ['refuses', () => Promise.reject(new Error('no such node'))],
    ['says no', () => Promise.resolve(false)],
  ])('gives no more than 8 s where the pod %s', async (_, confirm) => {
    const seen = start({ confirm });
    await seconds(9);
    expect(seen.dead).toEqual([{ silentMs: 8000, podAnswers: false }]);
  });

  it('asks the pod anew in each silence', async () => {
    let answers = true;
    const seen = start({ confirm: () => Promise.resolve(answers) });
    await seconds(30);
    seen.bytes += 1;
    answers = false;
    await seconds(10);
    expect(seen.confirms).toBe(2);
    expect(seen.dead).toEqual([{ silentMs: 8000, podAnswers: false }]);
  });

  it('does not hold a suspended runner against the daemon', async () => {
    const seen = start();
    await seconds(5);
    // What a suspension is to a timer: one late call.
    jest.setSystemTime(Date.now() + 3_600_000);
    await seconds(1);
    seen.bytes += 1;
    await seconds(7);
    expect(seen.dead).toEqual([]);
  });

  it('reads what has come before it judges', async () => {
    let lookedAt = NaN;
    // Comes after the first look of each second.
    const bytesRead = (): number => {
      const isSecondLook = Date.now() - lookedAt < 100;
      lookedAt = Date.now();
      return isSecondLook ? 1 : 0;
    };
    const seen = start({ bytesRead });
    await seconds(15);
    expect(seen.dead).toEqual([]);
  });

  it('stops', async () => {
    const seen = start();
    open?.[Symbol.dispose]();
    await seconds(100);
    expect(seen).toMatchObject({ probes: 0, dead: [] });
    expect(jest.getTimerCount()).toBe(0);
  });
});
