/**
 * The API server's clock, carried on by our monotonic one.
 *
 * Its answers tell the time in whole seconds, rounded down: the latest reading is the best one. What
 * the clock of the runner says does not matter.
 */
export class ServerClock {
  #aheadMs: number | undefined;

  /** Takes the time of an answer, in milliseconds since 1970. */
  observe(serverTimeMs: number): void {
    const aheadMs = serverTimeMs - performance.now();
    this.#aheadMs = Math.max(this.#aheadMs ?? aheadMs, aheadMs);
  }

  /** In milliseconds since 1970; our own clock before the first answer. */
  get nowMs(): number {
    return this.#aheadMs === undefined ? Date.now() : performance.now() + this.#aheadMs;
  }
}
