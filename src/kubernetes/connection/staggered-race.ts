/** One of several ways to the same thing. */
export interface Entrant<T> {
  /**
   * Tries it, until the signal.
   *
   * `hold(ms)` says that it is getting on: the next one waits that long from now.
   */
  readonly run: (signal: AbortSignal, hold: (ms: number) => void) => Promise<T>;
}

export interface RaceOptions<T> {
  /** How long each has before the next one starts, too. */
  readonly headStartMs: number;
  readonly signal: AbortSignal;
  /** Takes what came too late. */
  readonly discard: (value: T) => void;
}

export interface RaceResult<T> {
  readonly value: T;
  /** Index of the entrant. */
  readonly winner: number;
  /** By index; without those that had not failed when the race was over. */
  readonly failures: ReadonlyMap<number, unknown>;
}

/** All have failed. */
export class RaceLost extends Error {
  override readonly name = 'RaceLost';
  readonly failures: ReadonlyMap<number, unknown>;

  constructor(failures: ReadonlyMap<number, unknown>) {
    super('nobody won', { cause: [...failures.values()].at(-1) });
    this.failures = failures;
  }
}

/**
 * Tries the best first and the others beside it, each a little later, as in RFC 8305.
 *
 * The next one starts when the last one has failed or its head start is over. The first that comes
 * through ends the others. Throws `RaceLost`, or the signal's reason.
 */
export async function raceStaggered<T>(
  entrants: readonly Entrant<T>[],
  { headStartMs, signal, discard }: RaceOptions<T>,
): Promise<RaceResult<T>> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<RaceResult<T>>();
  const over = new AbortController();
  const failures = new Map<number, unknown>();
  let started = 0;
  let timer: NodeJS.Timeout | undefined;
  const startIn = (ms: number): void => {
    clearTimeout(timer);
    if (started < entrants.length && !over.signal.aborted) timer = setTimeout(start, ms);
  };
  const start = (): void => {
    const index = started;
    const entrant = entrants[index];
    if (entrant === undefined) return;
    started += 1;
    const isLatest = (): boolean => started === index + 1;
    startIn(headStartMs);
    const hold = (ms: number): void => {
      if (isLatest()) startIn(ms);
    };
    entrant.run(over.signal, hold).then(
      (value) => {
        if (over.signal.aborted) {
          discard(value);
          return;
        }
        // At once: another one may come through in the same turn.
        over.abort();
        resolve({ value, winner: index, failures: new Map(failures) });
      },
      (failure: unknown) => {
        failures.set(index, failure);
        if (isLatest()) startIn(0);
        if (failures.size === entrants.length) reject(new RaceLost(failures));
      },
    );
  };
  const abort = (): void => {
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', abort, { once: true });
  start();
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    clearTimeout(timer);
    over.abort();
  }
}
