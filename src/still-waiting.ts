/** The line that a build without news gets. */

const firstQuietMs = 60_000;
const longestQuietMs = 5 * 60_000;

export interface StillWaitingOptions {
  /** Time since the last sign of life of the builder. */
  readonly silentMs: () => number;
  readonly tell: (line: string) => void;
  /** Without news before the first line; doubled after each line up to 5 min; default 1 min. */
  readonly firstQuietMs?: number;
}

/**
 * Tells from time to time that a build without news is still alive, with the proof.
 *
 * Does not keep the process alive.
 */
export class StillWaiting implements Disposable {
  readonly #options: StillWaitingOptions;
  #timer: NodeJS.Timeout | undefined;
  #newsAt = performance.now();

  constructor(options: StillWaitingOptions) {
    this.#options = options;
    this.news();
  }

  /** The build has shown something: the quiet starts anew. */
  news(): void {
    this.#newsAt = performance.now();
    this.#wait(this.#options.firstQuietMs ?? firstQuietMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #wait(quietMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { silentMs, tell } = this.#options;
      const quiet = seconds(performance.now() - this.#newsAt);
      tell(
        `still waiting, builder answered ${seconds(silentMs())} s ago (no output for ${quiet} s)`,
      );
      this.#wait(Math.min(quietMs * 2, longestQuietMs));
    }, quietMs).unref();
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
