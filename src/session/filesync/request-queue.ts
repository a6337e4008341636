/**
 * Hands each of the values that were put in to one of those who wait for them, in order.
 *
 * Bounded by its use: a daemon asks for each file once.
 */
export class RequestQueue {
  #values: number[] = [];
  #next = 0;
  #closed = false;
  readonly #waiting: (() => void)[] = [];

  push(value: number): void {
    this.#values.push(value);
    this.#waiting.shift()?.();
  }

  /** No more values will come: whoever waits is let go once the queue is empty. */
  close(): void {
    this.#closed = true;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Drops what is left and closes. */
  clear(): void {
    this.#values = [];
    this.#next = 0;
    this.close();
  }

  /** The next value, waited for; undefined when there will be none. */
  async take(): Promise<number | undefined> {
    while (this.#next === this.#values.length) {
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const value = this.#values[this.#next];
    this.#next += 1;
    if (this.#next === this.#values.length) {
      this.#values = [];
      this.#next = 0;
    }
    return value;
  }
}
