import type { CountedDuplex, Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { ApiTarget } from './api-target.ts';
import type { EarlyDial } from './early-dial.ts';
import { KubernetesError, type KubernetesErrorCode } from './errors.ts';
import { openExecStream } from './exec/open-exec-stream.ts';
import { isRunning } from './pod-state.ts';
import type { KubeClient } from './kube-client.ts';
import type { Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import type { Rollout } from './rollout.ts';
import { nextChange } from './until-answer.ts';

const firstRetryMs = 25;
const longestRetryMs = 1_000;
const attemptTimeoutMs = 15_000;
/** How long an exec into a running container may be refused: a new node has no certificate yet. */
const refusalGraceMs = 30_000;

export interface ConnectOptions<T> {
  readonly client: KubeClient;
  readonly rollout: Rollout;
  readonly namespace: string;
  readonly logger: Logger;
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
  const { rollout, logger } = options;
  const live = AbortSignal.any([signal, rollout.failed]);
  const onChange = (listener: () => void): (() => void) => rollout.onChange(listener);
  let retryMs = firstRetryMs;
  let refusedSince: number | undefined;
  for (;;) {
    live.throwIfAborted();
    const pod = rollout.startedPod();
    if (pod === undefined) {
      await nextChange({ onChange, signal: live });
      retryMs = firstRetryMs;
      continue;
    }
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

/** Reaches the daemon in a pod by an exec of BuildKit's own relay. */
export function dialerOf(
  where: Pick<ConnectOptions<unknown>, 'namespace' | 'logger'> & {
    readonly client: Pick<KubeClient, 'resolveTarget'>;
  },
  pod: string,
): Dialer {
  const { client, namespace, logger } = where;
  return async (signal) => {
    const dial = (target: ApiTarget): Promise<CountedDuplex> =>
      openExecStream({
        target,
        namespace,
        pod,
        container: containerName,
        command: ['buildctl', 'dial-stdio'],
        signal,
        logger,
      });
    const target = await client.resolveTarget(signal);
    try {
      return await dial(target);
    } catch (failure) {
      if (!(failure instanceof KubernetesError) || failure.code !== 'KUBE_UNAUTHORIZED') {
        throw failure;
      }
      // A token may have been rotated since it was read.
      return await dial(await client.resolveTarget(signal, target));
    }
  };
}

async function attempt<T>(
  options: ConnectOptions<T>,
  { pod, live }: { readonly pod: Pod; readonly live: AbortSignal },
): Promise<T> {
  const { open, early } = options;
  const name = pod.metadata.name;
  const dial = early?.take(name) ?? dialerOf(options, name);
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

const finalCodes: ReadonlySet<KubernetesErrorCode> = new Set([
  'KUBECONFIG_INVALID',
  'KUBE_CREDENTIALS_FAILED',
  'KUBE_FORBIDDEN',
  'KUBE_UNAUTHORIZED',
]);

function isFinal(failure: unknown): boolean {
  return failure instanceof KubernetesError && finalCodes.has(failure.code);
}

function isRefusal(failure: unknown): boolean {
  return failure instanceof KubernetesError && failure.code === 'EXEC_UPGRADE_REFUSED';
}

function now(): number {
  return performance.now();
}
