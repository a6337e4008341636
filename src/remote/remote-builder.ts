import { setTimeout as sleep } from 'node:timers/promises';

import type { RemoteEndpoint } from '../options/options.ts';
import type { Dialer } from '../shared/dialer.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { spoken } from '../shared/tls-stream.ts';
import { RemoteError } from './errors.ts';
import { explainSilence, remoteDialer } from './remote-dialer.ts';

const firstRetryMs = 100;
const longestRetryMs = 2_000;
const attemptTimeoutMs = 15_000;

export interface RemoteBuilderOptions {
  readonly endpoint: RemoteEndpoint;
  /** How long to wait for the daemon. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

/**
 * A daemon that was there before us: `driver: remote`.
 *
 * Nothing is made, held or removed; all that a build needs of it is a way there, and words when that
 * is lost. Throws `REMOTE_REFUSED` for certificates that cannot be used.
 */
export class RemoteBuilder {
  readonly #options: RemoteBuilderOptions;
  readonly #dial: Dialer;

  constructor(options: RemoteBuilderOptions) {
    this.#options = options;
    this.#dial = remoteDialer(options.endpoint);
  }

  /** As the user wrote it. */
  get endpoint(): string {
    return this.#options.endpoint.url;
  }

  /**
   * Runs `open` against the daemon, again and again until the time is up.
   *
   * The signal given to `open` covers the opening only. Throws `REMOTE_UNREACHABLE`, at once
   * `REMOTE_REFUSED`, or the signal's reason.
   */
  async connect<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { timeoutMs, logger } = this.#options;
    const deadline = performance.now() + timeoutMs;
    let told = '';
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(retryMs * 1.5, longestRetryMs)) {
      signal.throwIfAborted();
      const leftMs = deadline - performance.now();
      try {
        return await this.#attempt(open, { signal, timeoutMs: Math.min(leftMs, attemptTimeoutMs) });
      } catch (failure) {
        signal.throwIfAborted();
        const reason = await this.#judge(failure, signal);
        if (performance.now() + retryMs >= deadline) throw this.#timedOut(reason);
        if (reason.message !== told) logger.info(`Waiting for BuildKit: ${reason.message}`);
        told = reason.message;
      }
      // The loop says why.
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * Resolves once the daemon greets on a new stream; `reached` is called before, once something
   * takes one. Rejects when nothing does.
   *
   * The kernel of its machine takes streams for a daemon that is too busy to greet anyone.
   */
  async answers(signal: AbortSignal, reached: () => void): Promise<void> {
    const stream = await this.#dial(signal);
    stream.on('error', () => undefined);
    try {
      reached();
      await spoken(stream, signal);
    } finally {
      stream.destroy();
    }
  }

  /** Says why the connection ended, always `REMOTE_LOST`; `cause` is what itself said. */
  async explainLoss(signal: AbortSignal, cause: unknown): Promise<RemoteError> {
    const now = await this.#dial(signal).then(
      (stream) => {
        stream.on('error', () => undefined).destroy();
        return 'it can be reached again';
      },
      (failure: unknown) => messageOf(failure),
    );
    signal.throwIfAborted();
    const { url } = this.#options.endpoint;
    return new RemoteError(
      'REMOTE_LOST',
      `the connection to BuildKit at ${url} was lost during the build; ${now}`,
      { hint: 'Look at the log of that daemon: it may have been restarted or killed.', cause },
    );
  }

  async #attempt<T>(
    open: (dial: Dialer, signal: AbortSignal) => Promise<T>,
    { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): Promise<T> {
    // Not AbortSignal.any: what was opened outlives the attempt and must not end with its timeout.
    const controller = new AbortController();
    const abort = (): void => {
      controller.abort(signal.reason);
    };
    const timer = setTimeout(() => {
      controller.abort(new Error(`no answer within ${Math.round(timeoutMs / 1000)} s`));
    }, timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await open(this.#dial, controller.signal);
    } catch (failure) {
      controller.signal.throwIfAborted();
      throw failure;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  /** Throws what will not pass. */
  async #judge(failure: unknown, signal: AbortSignal): Promise<RemoteError> {
    if (failure instanceof RemoteError) {
      if (failure.code === 'REMOTE_REFUSED') throw failure;
      return failure;
    }
    // Something is there, and what it said is no answer of BuildKit.
    const { endpoint } = this.#options;
    const mixUp = await explainSilence(endpoint, signal);
    if (mixUp !== undefined) throw mixUp;
    return new RemoteError(
      'REMOTE_UNREACHABLE',
      `what listens at ${endpoint.url} does not answer as BuildKit: ${messageOf(failure)}`,
      { hint: 'Check that endpoint is the address of buildkitd itself.', cause: failure },
    );
  }

  #timedOut(reason: RemoteError): RemoteError {
    const seconds = Math.round(this.#options.timeoutMs / 1000);
    const { hint } = reason;
    return new RemoteError('REMOTE_UNREACHABLE', `${reason.message} (for ${seconds} s)`, {
      ...(hint === undefined ? {} : { hint }),
      cause: reason.cause,
    });
  }
}
