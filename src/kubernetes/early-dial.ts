import type { CountedDuplex, Dialer } from '../shared/dialer.ts';

/**
 * A stream to the pod that an earlier step of the job has reached, opened while it is still being
 * looked up whether that pod is the one to use.
 */
export class EarlyDial implements Disposable {
  readonly #pod: string;
  readonly #stream: Promise<CountedDuplex>;
  readonly #abort = new AbortController();
  #isTaken = false;

  constructor(pod: string, dial: Dialer) {
    this.#pod = pod;
    this.#stream = dial(this.#abort.signal);
    // Whoever takes it is told; for anyone else it is as if it had not been tried.
    this.#stream.catch(() => undefined);
  }

  /** Hands the stream out, once and only for its own pod; one that failed is dialed `anew`. */
  take(pod: string, anew: Dialer): Dialer | undefined {
    if (this.#isTaken || pod !== this.#pod) return undefined;
    this.#isTaken = true;
    return async (signal) => (await this.#opened(signal)) ?? anew(signal);
  }

  /** Closes the stream unless it was handed out. */
  [Symbol.dispose](): void {
    if (!this.#isTaken) this.#discard();
  }

  /** Undefined when nothing came of it; from here on it ends with the signal of its taker. */
  async #opened(signal: AbortSignal): Promise<CountedDuplex | undefined> {
    const discard = (): void => {
      this.#discard(signal.reason);
    };
    signal.addEventListener('abort', discard, { once: true });
    if (signal.aborted) discard();
    try {
      const stream = await this.#stream.catch(() => undefined);
      signal.throwIfAborted();
      return stream?.destroyed === true ? undefined : stream;
    } finally {
      signal.removeEventListener('abort', discard);
    }
  }

  #discard(reason?: unknown): void {
    this.#abort.abort(reason);
    this.#stream.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
  }
}
