import type { Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { kindOf } from './connection/way-failure.ts';
import type { EarlyDial } from './early-dial.ts';
import { KubernetesError } from './errors.ts';
import { isRunning } from './pod-state.ts';
import type { Pod } from './kube-objects.ts';
import type { PodPicker } from './pod-picker.ts';
import type { Rollout } from './rollout.ts';
import { nextChange } from './until-answer.ts';

const firstRetryMs = 25;
const longestRetryMs = 1_000;
const attemptTimeoutMs = 15_000;
/** How long ways into a running container may be refused: a new node has no certificate yet. */
const refusalGraceMs = 30_000;

export interface ConnectOptions<T> {
  readonly rollout: Rollout;
  readonly picker: PodPicker;
  readonly logger: Logger;
  /** Dials the daemon of a pod as last seen. */
  readonly dialer: (pod: Pod) => Dialer;
  readonly open: (dial: Dialer, signal: AbortSignal) => Promise<T>;
  /** Used in the first attempt, if it is to the same pod. */
  readonly early: EarlyDial | undefined;
}

/**
 * Runs `open` against the chosen pod from the moment its container has been started.
 *
 * Fails with what ends the rollout, or with a refusal that will not pass; all else is transient,
 * such as a container not yet found, a daemon that does not listen yet, or a node that is too new.
 */
export async function connectWhenStarted<T>(
  options: ConnectOptions<T>,
  signal: AbortSignal,
): Promise<{ readonly value: T; readonly pod: Pod }> {
  const { rollout, picker, logger } = options;
  const live = AbortSignal.any([signal, rollout.failed]);
  const onChange = (listener: () => void): (() => void) => rollout.onChange(listener);
  let retryMs = firstRetryMs;
  let refusedSince: number | undefined;
  let lastUid: string | undefined;
  for (;;) {
    live.throwIfAborted();
    const pod = await picker.pick(live);
    if (pod.metadata.uid !== lastUid) retryMs = firstRetryMs;
    lastUid = pod.metadata.uid;
    try {
      return { value: await attempt(options, { pod, live }), pod };
    } catch (failure) {
      live.throwIfAborted();
      if (isFinal(failure)) throw failure;
      refusedSince = isRefusal(failure) && isRunning(pod) ? (refusedSince ?? now()) : undefined;
      if (refusedSince !== undefined && now() - refusedSince > refusalGraceMs) throw failure;
      rollout.noteAttempt(failure);
      logger.debug(`${pod.metadata.name} does not answer yet: ${messageOf(failure)}`);
    }
    await nextChange({ onChange, signal: live, timeoutMs: retryMs });
    retryMs = Math.min(retryMs * 1.5, longestRetryMs);
  }
}

async function attempt<T>(
  options: ConnectOptions<T>,
  { pod, live }: { readonly pod: Pod; readonly live: AbortSignal },
): Promise<T> {
  const { open, dialer, early } = options;
  const name = pod.metadata.name;
  const anew = dialer(pod);
  const dial = early?.take(name, anew) ?? anew;
  // Not AbortSignal.any: what was opened outlives the attempt and must not end with its timeout.
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort(live.reason);
  };
  const timer = setTimeout(() => {
    controller.abort(
      new KubernetesError('BUILDER_UNREACHABLE', `buildkitd in pod ${name} is silent`),
    );
  }, attemptTimeoutMs);
  live.addEventListener('abort', abort, { once: true });
  try {
    return await open(dial, controller.signal);
  } finally {
    clearTimeout(timer);
    live.removeEventListener('abort', abort);
  }
}

function isFinal(failure: unknown): boolean {
  return kindOf(failure) === 'impossible';
}

function isRefusal(failure: unknown): boolean {
  return kindOf(failure) === 'refused';
}

function now(): number {
  return performance.now();
}
