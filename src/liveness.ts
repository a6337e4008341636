/** Signs of life of the daemon that a build runs on. */

const secondMs = 1_000;
/** Seconds of silence after which the daemon is asked, and again while it does not answer. */
const probeAfter = 2;
/** Seconds of silence after which the same is tried on a new stream. */
const askAnewAfter = 4;
/** Seconds of silence that are borne, by who answers on a new stream. */
const patience = {
  /** The pod is dead. */
  nobody: 8,
  /** The daemon lives: this stream is broken, unless what we send ahead of our question is long. */
  daemon: 20,
  /** The node lives, and the daemon may be too busy to answer anyone. */
  pod: 60,
} as const;

/** Who answers on a new stream to a daemon that says nothing on the old one. */
export type Answerer = keyof typeof patience;

export interface LivenessOptions {
  /** Bytes from the daemon so far, where they are counted: every one is a sign of life. */
  readonly bytesRead: () => number | undefined;
  /** Asks the daemon for what costs it no work, such as its version; the answer is a sign of life. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /**
   * Opens a new stream; calls `reached` once the pod is, and resolves once its daemon has answered.
   *
   * Called once per silence.
   */
  readonly askAnew: (signal: AbortSignal, reached: () => void) => Promise<unknown>;
  /** Called at most once. */
  readonly onDead: (silence: Silence) => void;
  /** What counts as a second; default 1000. */
  readonly tickMs?: number;
}

/** What is known of a daemon that says nothing more. */
export interface Silence {
  readonly silentMs: number;
  readonly elsewhere: Answerer;
}

/**
 * Notices that nobody is left at the other end of a connection that looks open: within 8 s where the
 * node lost power, within 20 s where only this connection is broken.
 *
 * A daemon that is only busy is left alone: any byte counts, and one that says nothing at all gets a
 * minute while its pod can be reached. What is counted are seconds in which this process ran, so that
 * one that was suspended, or too busy to read, does not hold it against the daemon. Does not keep the
 * process alive.
 */
export class Liveness implements Disposable {
  readonly #options: LivenessOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #over = new AbortController();
  #bytes: number | undefined;
  #heardAt = performance.now();
  #silentSeconds = 0;
  #isProbing = false;
  /** Of this silence. */
  #elsewhere: Answerer = 'nobody';
  #askingAnew: AbortController | undefined;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#bytes = options.bytesRead();
    this.#timer = setInterval(() => {
      this.#tick();
    }, options.tickMs ?? secondMs).unref();
  }

  /** Time since the last sign of life. */
  get silentMs(): number {
    this.#listen();
    return performance.now() - this.#heardAt;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#over.abort();
  }

  #tick(): void {
    this.#silentSeconds += 1;
    this.#listen();
    if (this.#silentSeconds >= probeAfter) void this.#probe();
    if (this.#silentSeconds >= askAnewAfter) void this.#askAnew();
    // After what has come meanwhile and was not read yet.
    if (!this.#isTooLong) return;
    setImmediate(() => {
      this.#judge();
    });
  }

  get #isTooLong(): boolean {
    return this.#silentSeconds >= patience[this.#elsewhere];
  }

  #judge(): void {
    this.#listen();
    if (!this.#isTooLong || this.#over.signal.aborted) return;
    const silence = { silentMs: this.#silentSeconds * secondMs, elsewhere: this.#elsewhere };
    this[Symbol.dispose]();
    this.#options.onDead(silence);
  }

  #listen(): void {
    const bytes = this.#options.bytesRead();
    if (bytes !== this.#bytes) this.#heard();
    this.#bytes = bytes;
  }

  #heard(): void {
    this.#heardAt = performance.now();
    this.#silentSeconds = 0;
    this.#elsewhere = 'nobody';
    this.#askingAnew?.abort();
    this.#askingAnew = undefined;
  }

  async #probe(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    // One that fails says nothing: the connection tells by itself when it is gone.
    const answered = await this.#options.probe(this.#over.signal).then(
      () => true,
      () => false,
    );
    this.#isProbing = false;
    if (answered) this.#heard();
  }

  async #askAnew(): Promise<void> {
    if (this.#askingAnew !== undefined) return;
    const asking = new AbortController();
    this.#askingAnew = asking;
    const note = (answerer: Answerer): void => {
      // Of another silence it would be old news.
      if (!asking.signal.aborted) this.#elsewhere = answerer;
    };
    const signal = AbortSignal.any([asking.signal, this.#over.signal]);
    const ask = this.#options.askAnew(signal, () => {
      note('pod');
    });
    await ask.then(
      () => {
        note('daemon');
      },
      () => undefined,
    );
  }
}
