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
  askAnew = hangs,
}: {
  readonly bytesRead?: () => number;
  readonly probe?: () => Promise<unknown>;
  readonly askAnew?: (signal: AbortSignal, reached: () => void) => Promise<unknown>;
} = {}) {
  const seen = { bytes: 0, probes: 0, asked: 0, dead: [] as Silence[] };
  open = new Liveness({
    bytesRead: bytesRead ?? (() => seen.bytes),
    probe: () => {
      seen.probes += 1;
      return probe();
    },
    askAnew: (signal, reached) => {
      seen.asked += 1;
      return askAnew(signal, reached);
    },
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
    expect(seen.dead).toEqual([{ silentMs: 8000, elsewhere: 'nobody' }]);
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

  it('gives a silent daemon a minute where its pod is reached', async () => {
    const seen = start({
      askAnew: (_signal, reached) => {
        reached();
        return hangs();
      },
    });
    await seconds(59);
    expect(seen).toMatchObject({ asked: 1, dead: [] });
    await seconds(2);
    expect(seen.dead).toEqual([{ silentMs: 60_000, elsewhere: 'pod' }]);
  });

  it('takes the connection for broken where the daemon answers on a new one', async () => {
    const seen = start({
      askAnew: (_signal, reached) => {
        reached();
        return Promise.resolve();
      },
    });
    await seconds(19);
    expect(seen.dead).toEqual([]);
    await seconds(2);
    expect(seen.dead).toEqual([{ silentMs: 20_000, elsewhere: 'daemon' }]);
  });

  it('gives no more than 8 s where the pod is not reached', async () => {
    const seen = start({ askAnew: () => Promise.reject(new Error('no such node')) });
    await seconds(9);
    expect(seen.dead).toEqual([{ silentMs: 8000, elsewhere: 'nobody' }]);
  });

  it('asks anew in each silence, and drops the question of the last', async () => {
    const signals: AbortSignal[] = [];
    let reachedLate = (): void => undefined;
    const seen = start({
      askAnew: (signal, reached) => {
        signals.push(signal);
        reachedLate = reached;
        return hangs();
      },
    });
    await seconds(5);
    seen.bytes += 1;
    await seconds(1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    reachedLate();
    await seconds(9);
    expect(seen).toMatchObject({ asked: 2, dead: [{ silentMs: 8000, elsewhere: 'nobody' }] });
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
