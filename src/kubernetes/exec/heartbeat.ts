export interface HeartbeatOptions {
  readonly intervalMs: number;
  /** Sends something that a living peer answers. */
  readonly ping: () => void;
  /** How many intervals without a sign of life to bear, asked at each of them. */
  readonly patience: () => number;
  readonly onDead: (silentMs: number) => void;
}

/**
 * Pings a peer and notices when it is gone.
 *
 * Counts intervals rather than reading a clock, so that a process that was suspended, or whose
 * event loop was blocked, reads what is waiting for it before it judges. Does not keep the process
 * alive.
 */
export class Heartbeat implements Disposable {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  #silentIntervals = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#beat();
    }, options.intervalMs).unref();
  }

  /** The peer has shown that it lives. */
  alive(): void {
    this.#silentIntervals = 0;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const { intervalMs, onDead, patience, ping } = this.#options;
    if (this.#silentIntervals >= patience()) {
      onDead(this.#silentIntervals * intervalMs);
      return;
    }
    this.#silentIntervals += 1;
    ping();
  }
}
