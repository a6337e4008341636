/** Signs of life of the daemon that a build runs on. */

const secondMs = 1_000;
/** Seconds of silence after which the daemon is asked, and again while it does not answer. */
const probeAfter = 2;
/** Seconds of silence after which it is looked whether the pod answers on another way. */
const confirmAfter = 4;
/** Seconds of silence that a dead pod gets. */
const deadAfter = 8;
/** The same for one that is silent here and answers elsewhere. */
const brokenAfter = 60;

export interface LivenessOptions {
  /** Bytes from the daemon so far, where they are counted: every one is a sign of life. */
  readonly bytesRead: () => number | undefined;
  /** Asks the daemon for what costs it no work, such as its version; the answer is a sign of life. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /**
   * Whether the pod answers on another way; asked once per silence. A rejection says that it does
   * not. Unset: there is no other way.
   */
  readonly confirm?: (signal: AbortSignal) => Promise<boolean>;
  /** Called at most once. */
  readonly onDead: (silence: Silence) => void;
  /** What counts as a second; default 1000. */
  readonly tickMs?: number;
}

/** What is known of a daemon that says nothing more. */
export interface Silence {
  readonly silentMs: number;
  /** Whether its pod answers others, so that only the connection is broken. */
  readonly podAnswers: boolean;
}

/**
 * Notices within 8 s that nobody is left at the other end of a connection that looks open, as when
 * its node lost power.
 *
 * A daemon that is only busy is left alone: any byte counts, and one that says nothing at all gets a
 * minute while its pod answers `confirm`. What is counted are seconds in which this process ran, so
 * that one that was suspended, or too busy to read, does not hold it against the daemon. Does not
 * keep the process alive.
 */
export class Liveness implements Disposable {
  readonly #options: LivenessOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #over = new AbortController();
  #bytes: number | undefined;
  #heardAt = performance.now();
  #silentSeconds = 0;
  #isProbing = false;
  /** Undefined: not asked in this silence. */
  #podAnswers: boolean | undefined;

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
    if (this.#silentSeconds >= confirmAfter) void this.#confirm();
    // After what has come meanwhile and was not read yet.
    if (!this.#isTooLong) return;
    setImmediate(() => {
      this.#judge();
    });
  }

  get #isTooLong(): boolean {
    return this.#silentSeconds >= (this.#podAnswers === true ? brokenAfter : deadAfter);
  }

  #judge(): void {
    this.#listen();
    if (!this.#isTooLong || this.#over.signal.aborted) return;
    const silence = {
      silentMs: this.#silentSeconds * secondMs,
      podAnswers: this.#podAnswers === true,
    };
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
    this.#podAnswers = undefined;
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

  async #confirm(): Promise<void> {
    const { confirm } = this.#options;
    if (this.#podAnswers !== undefined || confirm === undefined) return;
    this.#podAnswers = false;
    const askedAt = this.#heardAt;
    const answers = await confirm(this.#over.signal).catch(() => false);
    // Of another silence it would be old news.
    if (this.#heardAt === askedAt) this.#podAnswers = answers;
  }
}
