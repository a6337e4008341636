import type { VertexStatus } from '../wire/gen/control.ts';
import { totalDuration } from './intervals.ts';
import {
  formatBytes,
  formatFixed,
  type Nanoseconds,
  nanosecondsOf,
  secondsOf,
} from './plain-format.ts';
import type { Trace } from './trace.ts';
import type { TracedVertex } from './traced-vertex.ts';

/** A vertex is shown for at least this long when others print as much. */
const antiFlickerSeconds = 5;
/** A vertex with news is not kept waiting for longer. */
const maxWaitSeconds = 10;
/** An unfinished status is printed again after this time or this share of its total. */
const minStatusDelta: Nanoseconds = 5_000_000_000n;
const minStatusShare = 0.05;
/** Twice what a daemon passes on per step by default; more text than this waits for nobody. */
const maxWaitingChars = 8 * 1024 * 1024;

interface Activity {
  readonly shownSeconds: number;
  readonly linesPerSecond: number;
  readonly waitedTooLong: boolean;
}

/**
 * Turns a trace into plain progress text, one vertex at a time.
 *
 * Follows `printer.go` of BuildKit's `util/progress/progressui`, down to the order of lines; where
 * upstream picks one of several open vertices at random, it is the one that started first.
 */
export class PlainPrinter {
  readonly #header: string;
  #isFirst = true;
  #lastIndex = 0;
  #current: TracedVertex | undefined;
  /** What was last printed of a status; upstream keys by id alone, whatever the vertex. */
  readonly #lastPrinted = new Map<string, { current: bigint; timestamp: Nanoseconds }>();
  #text = '';

  /** `header` becomes step 0; empty means none. */
  constructor(header: string) {
    this.#header = header;
  }

  /** The text that is due at `nowMs`; may end inside a line. */
  print(trace: Trace, nowMs: number): string {
    const completed: TracedVertex[] = [];
    const running = new Set<TracedVertex>();
    for (const vertex of trace.changed) {
      if (vertex.hidden) continue;
      if (vertex.isCompleted) completed.push(vertex);
      else running.add(vertex);
    }
    const current = this.#current;
    const currentCompleted = current !== undefined && completed.includes(current);
    if (currentCompleted) this.#printVertex(current, trace);
    for (const vertex of completed.sort(byStop)) {
      if (vertex !== current) this.#printVertex(vertex, trace);
    }
    if (running.size === 0) {
      this.#showOpenVertex(current, trace);
    } else {
      if (current !== undefined && running.has(current)) this.#printVertex(current, trace);
      const next = chooseNext(running, currentCompleted ? undefined : current, nowMs);
      if (next !== undefined) this.#printVertex(next, trace);
    }
    return this.#take();
  }

  /**
   * The text that is left at the end of the stream.
   *
   * Nothing is left after a whole build; after a broken stream it is the last output of every step,
   * which upstream loses.
   */
  finish(trace: Trace, nowMs: number): string {
    this.#text = this.print(trace, nowMs);
    for (const vertex of trace.started) {
      if (vertex.log.unprintedChars > 0) this.#printVertex(vertex, trace);
    }
    if (this.#current?.log.endsInsideLine === true) this.#text += '\n';
    return this.#take();
  }

  /** Shows what runs while nothing has news, unless that is what is shown already. */
  #showOpenVertex(current: TracedVertex | undefined, trace: Trace): void {
    if (current?.isStarted === true && !current.isCompleted) return;
    const open = trace.started.find((vertex) => !vertex.isCompleted && !vertex.hidden);
    if (open !== undefined) this.#printVertex(open, trace);
  }

  #printVertex(vertex: TracedVertex, trace: Trace): void {
    if (vertex.index === 0) {
      this.#lastIndex += 1;
      vertex.index = this.#lastIndex;
    }
    if (vertex !== this.#current) this.#switchTo(vertex);
    const hasOpenStatus = this.#printStatuses(vertex);
    for (const warning of vertex.unprintedWarnings) {
      this.#text += `#${vertex.index} WARN: ${warning}\n`;
    }
    vertex.unprintedWarnings = [];
    this.#text += vertex.log.takeUnprinted(vertex.index);
    this.#current = vertex;
    if (vertex.isCompleted && !hasOpenStatus) this.#printEnd(vertex);
    trace.changed.delete(vertex);
  }

  #switchTo(vertex: TracedVertex): void {
    const old = this.#current;
    if (old !== undefined) {
      if (old.log.endsInsideLine) this.#text += '\n';
      old.log.restartLine();
      old.activity = 0;
      this.#text += `#${old.index} ...\n`;
    }
    if (!this.#isFirst) this.#text += '\n';
    else if (this.#header !== '') this.#text += `#0 ${this.#header}\n\n`;
    this.#isFirst = false;
    this.#text += `#${vertex.index} ${vertex.name}\n`;
  }

  /** Returns whether an unfinished status was among those printed. */
  #printStatuses(vertex: TracedVertex): boolean {
    let hasOpenStatus = false;
    if (vertex.changedStatuses.size > 0) {
      for (const status of vertex.statuses.values()) {
        if (!vertex.changedStatuses.has(status.ID) || !this.#isDue(status)) continue;
        const timestamp = nanosecondsOf(status.timestamp);
        this.#lastPrinted.set(status.ID, { current: status.current, timestamp });
        hasOpenStatus ||= status.completed === undefined;
        this.#text += `#${vertex.index} ${status.ID}${sizes(status)}${statusTime(status)}\n`;
      }
      vertex.changedStatuses.clear();
    }
    return hasOpenStatus;
  }

  #isDue(status: VertexStatus): boolean {
    const last = this.#lastPrinted.get(status.ID);
    if (last === undefined || status.completed !== undefined) return true;
    const share =
      status.total > 0n ? Number(status.current - last.current) / Number(status.total) : 0;
    return (
      share >= minStatusShare || nanosecondsOf(status.timestamp) - last.timestamp >= minStatusDelta
    );
  }

  #printEnd(vertex: TracedVertex): void {
    this.#current = undefined;
    vertex.activity = 0;
    if (vertex.log.endsInsideLine) this.#text += '\n';
    this.#text += `#${vertex.index} ${outcome(vertex)}\n`;
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

function byStop(a: TracedVertex, b: TracedVertex): number {
  const [stopA = 0n, stopB = 0n] = [a.stopped, b.stopped];
  return stopA < stopB ? -1 : stopA > stopB ? 1 : 0;
}

function outcome(vertex: TracedVertex): string {
  if (vertex.error !== '') return vertex.isCanceled ? 'CANCELED' : `ERROR: ${vertex.error}`;
  if (vertex.cached) return 'CACHED';
  return `DONE ${formatFixed(secondsOf(totalDuration(vertex.intervals)), 1)}s`;
}

function sizes({ current, total }: VertexStatus): string {
  if (total !== 0n) return ` ${formatBytes(current)} / ${formatBytes(total)}`;
  return current === 0n ? '' : ` ${formatBytes(current)}`;
}

function statusTime({ started, completed, timestamp }: VertexStatus): string {
  const end = nanosecondsOf(completed ?? timestamp);
  const seconds = started === undefined ? 0 : secondsOf(end - nanosecondsOf(started));
  const time = seconds > 0.01 ? ` ${formatFixed(seconds, 1)}s` : '';
  return completed === undefined ? time : `${time} done`;
}

/**
 * The vertex to go on with after the current one had its turn; undefined means no switch.
 *
 * Without a current vertex that is the busiest. Otherwise one that has waited too long, or the
 * busiest once the current one was shown for as long as its share of the activity deserves.
 */
function chooseNext(
  running: ReadonlySet<TracedVertex>,
  current: TracedVertex | undefined,
  nowMs: number,
): TracedVertex | undefined {
  const candidates = new Map<TracedVertex, Activity>();
  let busiest: TracedVertex | undefined;
  let total = 0;
  for (const vertex of current === undefined ? running : new Set([...running, current])) {
    const activity = activityOf(vertex, nowMs, vertex === current);
    if (activity === undefined) continue;
    candidates.set(vertex, activity);
    total += activity.linesPerSecond;
    const most = busiest === undefined ? undefined : candidates.get(busiest);
    if (
      most === undefined ||
      activity.waitedTooLong ||
      most.linesPerSecond < activity.linesPerSecond
    ) {
      busiest = vertex;
    }
  }
  const shown = current === undefined ? undefined : candidates.get(current);
  if (shown === undefined) return busiest;
  for (const [vertex, { waitedTooLong }] of candidates) {
    if (waitedTooLong) return vertex;
  }
  const share = shown.linesPerSecond / total;
  return antiFlickerSeconds / (1 - share) < shown.shownSeconds ? busiest : undefined;
}

function activityOf(vertex: TracedVertex, nowMs: number, isCurrent: boolean): Activity | undefined {
  if (vertex.activeSinceMs === undefined) return undefined;
  const seconds = (nowMs - vertex.activeSinceMs) / 1000;
  return {
    shownSeconds: seconds,
    linesPerSecond: vertex.activity / seconds,
    waitedTooLong:
      !isCurrent && (seconds > maxWaitSeconds || vertex.log.unprintedChars > maxWaitingChars),
  };
}
