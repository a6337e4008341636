import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  type Entrant,
  RaceLost,
  type RaceResult,
  raceStaggered,
} from '../../../../src/kubernetes/connection/staggered-race.ts';

/** Longer than any test. */
const forever = 3_600_000;
const soon = 5;

interface Runner extends Entrant<string> {
  readonly name: string;
  readonly wins: () => void;
  readonly fails: () => void;
  readonly started: Promise<AbortSignal>;
  hold: (ms: number) => void;
}

function runner(name: string): Runner {
  const result = Promise.withResolvers<string>();
  const started = Promise.withResolvers<AbortSignal>();
  const self: Runner = {
    name,
    wins: () => {
      result.resolve(name);
    },
    fails: () => {
      result.reject(new Error(`${name} failed`));
    },
    started: started.promise,
    hold: () => undefined,
    run: (signal, hold) => {
      self.hold = hold;
      started.resolve(signal);
      return result.promise;
    },
  };
  return self;
}

function race(
  runners: readonly Runner[],
  options: { readonly headStartMs?: number; readonly signal?: AbortSignal } = {},
): { readonly result: Promise<RaceResult<string>>; readonly discarded: string[] } {
  const discarded: string[] = [];
  const { headStartMs = forever, signal = new AbortController().signal } = options;
  const discard = (value: string): void => {
    discarded.push(value);
  };
  return { result: raceStaggered(runners, { headStartMs, signal, discard }), discarded };
}

async function hasStarted({ started }: Runner): Promise<boolean> {
  return Promise.race([started.then(() => true), sleep(4 * soon).then(() => false)]);
}

describe('raceStaggered', () => {
  it('leaves the others out while the first gets through', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result } = race([first, second]);
    first.wins();
    expect(await result).toEqual({ value: 'first', winner: 0, failures: new Map() });
    expect(await hasStarted(second)).toBe(false);
  });

  it('starts the next at once when one fails', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result } = race([first, second]);
    first.fails();
    await second.started;
    second.wins();
    expect(await result).toEqual({
      value: 'second',
      winner: 1,
      failures: new Map([[0, new Error('first failed')]]),
    });
  });

  it('starts the next beside one that is slow, ends who lost, and discards what comes late', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result, discarded } = race([first, second], { headStartMs: soon });
    const signal = await first.started;
    await second.started;
    second.wins();
    expect(await result).toMatchObject({ value: 'second', winner: 1 });
    expect(signal.aborted).toBe(true);
    first.wins();
    await sleep(0);
    expect(discarded).toEqual(['first']);
  });

  it('discards who comes through in the same turn as the first to do so', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result, discarded } = race([first, second], { headStartMs: soon });
    await second.started;
    second.wins();
    first.wins();
    expect(await result).toMatchObject({ value: 'second' });
    expect(discarded).toEqual(['first']);
  });

  it('still takes the first when the second is slower', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result } = race([first, second], { headStartMs: soon });
    await second.started;
    first.wins();
    expect(await result).toMatchObject({ value: 'first', winner: 0 });
  });

  it('holds the next back for one that gets on', async () => {
    const [first, second, third] = [runner('first'), runner('second'), runner('third')];
    const { result } = race([first, second, third], { headStartMs: soon });
    await first.started;
    first.hold(forever);
    expect(await hasStarted(second)).toBe(false);
    first.hold(0);
    await second.started;
    // It is no longer its turn to say so.
    first.hold(forever);
    await third.started;
    third.wins();
    expect(await result).toMatchObject({ winner: 2 });
  });

  it('ends when all have failed, whatever the order', async () => {
    const [first, second] = [runner('first'), runner('second')];
    const { result } = race([first, second], { headStartMs: soon });
    await second.started;
    second.fails();
    await sleep(0);
    first.fails();
    const failure: unknown = await result.catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(RaceLost);
    expect((failure as RaceLost).failures).toEqual(
      new Map([
        [1, new Error('second failed')],
        [0, new Error('first failed')],
      ]),
    );
  });

  it('ends with the signal, and so do its runners', async () => {
    const first = runner('first');
    const controller = new AbortController();
    const { result, discarded } = race([first], { signal: controller.signal });
    const signal = await first.started;
    controller.abort(new Error('cancelled'));
    await expect(result).rejects.toThrow('cancelled');
    expect(signal.aborted).toBe(true);
    first.wins();
    await sleep(0);
    expect(discarded).toEqual(['first']);
  });
});
