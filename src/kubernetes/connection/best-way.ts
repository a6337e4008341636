import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import { KubernetesError } from '../errors.ts';
import type { Opened, PodWays } from './pod-ways.ts';
import { type Entrant, RaceLost, raceStaggered } from './staggered-race.ts';
import { kindOf, type Way, WayFailure } from './way-failure.ts';

/** How long a better way has to itself. */
const headStartMs = 250;
/** The same while the address of a pod that has just started is asked for. */
const lookUpMs = 1_000;
/** How long a pod that answers, and whose daemon does not yet, keeps the other ways waiting. */
const startingMs = 1_500;
/** Of one more look at `direct` when another way has been the first. */
const secondLookMs = 300;

/** Pauses between tries while the daemon does not listen yet, each longer than the last. */
const pollMs = { direct: 15, 'port-forward': 50, exec: 50 } as const satisfies Record<Way, number>;
const longestPollMs = { direct: 100, 'port-forward': 500, exec: 500 } as const satisfies Record<
  Way,
  number
>;

const order: readonly Way[] = ['direct', 'port-forward', 'exec'];

/**
 * Takes the best way to the daemon of a pod that gets through, and says which in one line.
 *
 * `direct` has 250 ms to itself, then `port-forward`, then `exec`; a refusal lets the next one start
 * at once. Throws the failure that gives hope, if there is one: the daemon may not listen yet. Else
 * that of `exec`, naming all.
 */
export async function bestWay(ways: PodWays, logger: Logger, signal: AbortSignal): Promise<Opened> {
  const state = { reached: false };
  const entrants = [directEntrant(ways, state), simpleEntrant(ways, 'port-forward')];
  entrants.push(simpleEntrant(ways, 'exec'));
  try {
    const race = await raceStaggered(entrants, { headStartMs, signal, discard });
    const won = await secondLook(ways, { won: race.value, reached: state.reached, signal });
    const better = order.slice(0, order.indexOf(won.reached.way));
    logger.info(
      describe(
        won,
        better.map((way, index) => [way, race.failures.get(index)] as const),
      ),
    );
    return won;
  } catch (error) {
    throw error instanceof RaceLost ? failureOf(ways, error) : error;
  }
}

function directEntrant(ways: PodWays, state: { reached: boolean }): Entrant<Opened> {
  return {
    run: (signal, hold) => {
      const holdsUntil = performance.now() + startingMs;
      const progress = {
        onAddress: () => {
          if (!ways.hasAddress) hold(headStartMs);
        },
        onReached: () => {
          state.reached = true;
          const leftMs = holdsUntil - performance.now();
          // A daemon that has just started may accept connections long before it answers them.
          if (leftMs > 0) hold(ways.isStarting ? leftMs : headStartMs);
        },
      };
      if (!ways.hasAddress) hold(lookUpMs);
      return untilListening(() => ways.direct(signal, progress), { way: 'direct', ways, signal });
    },
  };
}

function simpleEntrant(ways: PodWays, way: 'port-forward' | 'exec'): Entrant<Opened> {
  const open = (signal: AbortSignal): Promise<Opened> =>
    way === 'exec' ? ways.exec(signal) : ways.portForward(signal);
  return { run: (signal) => untilListening(() => open(signal), { way, ways, signal }) };
}

/** Tries again while the pod answers and its daemon does not, if it may have started just now. */
async function untilListening(
  open: () => Promise<Opened>,
  {
    way,
    ways,
    signal,
  }: { readonly way: Way; readonly ways: PodWays; readonly signal: AbortSignal },
): Promise<Opened> {
  let pauseMs: number = pollMs[way];
  for (;;) {
    try {
      return await open();
    } catch (failure) {
      signal.throwIfAborted();
      if (!ways.isStarting || kindOf(failure) !== 'not-listening') throw failure;
    }
    await sleep(pauseMs, undefined, { signal });
    pauseMs = Math.min(pauseMs * 1.2, longestPollMs[way]);
  }
}

/** Between two of its tries another way may have been first to find that the daemon listens. */
async function secondLook(
  ways: PodWays,
  { won, reached, signal }: { won: Opened; reached: boolean; signal: AbortSignal },
): Promise<Opened> {
  if (won.reached.way === 'direct' || !reached) return won;
  try {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(secondLookMs)]);
    const better = await ways.direct(inTime);
    discard(won);
    return better;
  } catch {
    return won;
  }
}

function discard({ stream }: Opened): void {
  stream.on('error', () => undefined).destroy();
}

function describe(
  { reached }: Opened,
  better: readonly (readonly [way: Way, failure: unknown])[],
): string {
  const at = reached.way === 'direct' ? ` to ${reached.address}` : '';
  const because = better.map(([way, failure]) => `; not ${way}: ${reasonOf(failure)}`).join('');
  return `Connection to pod ${reached.pod}: ${reached.way}${at}${because}`;
}

function reasonOf(failure: unknown): string {
  return failure === undefined ? 'it did not get through in time' : messageOf(failure);
}

function failureOf({ pod, isStarting }: PodWays, { failures }: RaceLost): unknown {
  const [direct, ...others] = order.map((_way, index) => failures.get(index));
  // A runner that cannot reach pods will not do so later.
  const mayListen = isStarting && kindOf(direct) === 'not-listening';
  const hopes = [mayListen ? direct : undefined, ...others];
  const hope = hopes.findLast(
    (failure) => failure !== undefined && ['not-listening', 'passing'].includes(kindOf(failure)),
  );
  if (hope !== undefined) return hope;
  const exec = failures.get(order.indexOf('exec'));
  const reasons = order.map((way, index) => `${way}: ${reasonOf(failures.get(index))}`);
  const coded = exec instanceof KubernetesError ? exec : undefined;
  return new WayFailure(
    kindOf(exec) === 'impossible' ? 'impossible' : 'refused',
    `no way leads to the daemon in pod ${pod}. ${reasons.join('. ')}`,
    {
      cause: exec,
      ...(coded === undefined ? {} : { code: coded.code }),
      ...(coded?.hint === undefined ? {} : { hint: coded.hint }),
    },
  );
}
