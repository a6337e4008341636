/**
 * Wakes one waiter after changes; a change that comes while nobody waits is not missed.
 */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Resolves after the next ring, or the time-out; rejects with the reason of the signal. */
  async heard(timeoutMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#hasRung) await this.#wait(timeoutMs, signal);
    this.#hasRung = false;
    this.#wake = undefined;
    signal.throwIfAborted();
  }

  #wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(wake, timeoutMs);
      function wake(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        resolve();
      }
      signal.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
    });
  }
}
