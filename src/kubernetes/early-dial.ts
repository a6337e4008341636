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

  /** Hands the stream out, once and only for its own pod. */
  take(pod: string): Dialer | undefined {
    if (this.#isTaken || pod !== this.#pod) return undefined;
    this.#isTaken = true;
    return () => this.#stream;
  }

  /** Closes the stream unless it was handed out. */
  [Symbol.dispose](): void {
    if (this.#isTaken) return;
    this.#abort.abort();
    this.#stream.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
  }
}
