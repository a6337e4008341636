import { randomIdentity } from '../shared/identity.ts';
import { StatusResponse } from '../wire/gen/control.ts';
import { PlainPrinter } from './plain-printer.ts';
import { Trace } from './trace.ts';
import { TracedGroup } from './traced-vertex.ts';
import { type BuildWarning, WarningCollector } from './warnings.ts';

export interface ProgressDisplayOptions {
  /**
   * Gets the text in pieces, which may end inside a line.
   *
   * Lines may hold whatever a build prints, carriage returns and terminal sequences included.
   */
  readonly write: (text: string) => void;
  /** Step 0, such as `building with "name" instance using kubernetes driver`; default none. */
  readonly header?: string | undefined;
}

/** A step that failed, and not merely because the build was cancelled. */
export interface FailedVertex {
  readonly digest: string;
  readonly name: string;
  readonly error: string;
  /** The last lines of its log, oldest first, at most 40, each with its time: `0.312 text`. */
  readonly lastLines: readonly string[];
}

const maxLastLines = 40;
const minPrintIntervalMs = 100;
const idlePrintMs = 150;
/** More log than this is not gathered up, lest a fast build decide about our memory. */
const maxGatheredLogBytes = 256 * 1024;

/**
 * Prints the progress of one build as BuildKit's plain display does, and keeps the facts for after.
 *
 * A message is printed at once when the last text is 100 ms old, else with a later one or 150 ms
 * after the last, as upstream does; only 256 KiB of log do not wait. Memory does not grow with the
 * length of logs. Call `finish` in any case; the timer does not keep the process alive.
 */
export class ProgressDisplay {
  readonly #write: (text: string) => void;
  readonly #trace = new Trace();
  readonly #printer: PlainPrinter;
  readonly #warnings = new WarningCollector();
  #lastPrintMs = Number.NEGATIVE_INFINITY;
  #gatheredLogBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #isFinished = false;

  constructor(options: ProgressDisplayOptions) {
    this.#write = (text) => {
      if (text !== '') options.write(text);
    };
    this.#printer = new PlainPrinter(options.header ?? '');
  }

  /** Shows a step of our own, which is done at once. */
  showStep(name: string): void {
    const nowMs = Date.now();
    const now = {
      seconds: BigInt(Math.floor(nowMs / 1000)),
      nanos: (nowMs % 1000) * 1_000_000,
    };
    const vertex = { digest: randomIdentity(), name, started: now, completed: now };
    this.update(StatusResponse.fromPartial({ vertexes: [vertex] }));
  }

  /** Takes in one status message of the daemon. */
  update(status: StatusResponse): void {
    if (this.#isFinished) return;
    const nowMs = performance.now();
    this.#trace.update(status, nowMs);
    for (const warning of status.warnings) this.#warnings.add(warning);
    for (const log of status.logs) this.#gatheredLogBytes += log.msg.length;
    if (
      nowMs - this.#lastPrintMs >= minPrintIntervalMs ||
      this.#gatheredLogBytes >= maxGatheredLogBytes
    ) {
      this.#lastPrintMs = nowMs;
      this.#gatheredLogBytes = 0;
      this.#write(this.#printer.print(this.#trace, nowMs));
    }
    this.#timer ??= setInterval(() => {
      this.#write(this.#printer.print(this.#trace, performance.now()));
    }, idlePrintMs).unref();
    this.#timer.refresh();
  }

  /** Prints what is left and ends the last line; later updates are ignored. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    clearInterval(this.#timer);
    this.#write(this.#printer.finish(this.#trace, performance.now()));
  }

  /** The steps that failed so far, in order of start. */
  failures(): FailedVertex[] {
    return this.#trace.started
      .filter((vertex) => vertex.error !== '' && !vertex.isCanceled)
      .map((vertex) => ({
        digest: vertex instanceof TracedGroup ? vertex.failedDigest : vertex.digest,
        name: vertex.name,
        error: vertex.error,
        lastLines: vertex.log.lastLines(maxLastLines),
      }));
  }

  /** Name of the step that runs, of several the one that started last. */
  get runningStep(): string | undefined {
    return this.#trace.started.findLast(({ isCompleted, hidden }) => !isCompleted && !hidden)?.name;
  }

  /** The warnings so far, each once, in order of arrival. */
  warnings(): BuildWarning[] {
    return this.#warnings.list();
  }
}
