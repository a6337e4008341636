import type { Vertex, VertexStatus } from '../wire/gen/control.ts';
import type { ProgressGroup } from '../wire/gen/ops.ts';
import { type Interval, mergeIntervals } from './intervals.ts';
import { formatElapsed, type Nanoseconds, nanosecondsOf } from './plain-format.ts';
import { VertexLog } from './vertex-log.ts';

/** Everything known about one vertex, or about a progress group, which is shown as one. */
export class TracedVertex {
  readonly digest: string;
  name: string;
  error = '';
  cached = false;
  /** Not shown: a group of which only weak members have started. */
  hidden = false;
  /** The `#N` of this vertex; 0 until it is first printed. */
  index = 0;
  /** The statuses that have started, by id, in order of start. */
  readonly statuses = new Map<string, VertexStatus>();
  /** Ids of statuses that changed since they were last printed. */
  readonly changedStatuses = new Set<string>();
  /** Warnings that are not printed yet. */
  unprintedWarnings: string[] = [];
  readonly log = new VertexLog();
  /** Updates since the vertex was last switched away from; what its share of the output rests on. */
  activity = 0;
  /** When the first of those came, in milliseconds of the display's clock. */
  activeSinceMs: number | undefined;
  /** Keyed by start, so that an update of an interval replaces it. */
  readonly #intervals = new Map<Nanoseconds, Interval>();
  #merged: readonly Interval[] = [];
  #lastRecord: Vertex | undefined;

  constructor(digest: string, name: string) {
    this.digest = digest;
    this.name = name;
  }

  /** When it ran; a vertex may complete and start again. */
  get intervals(): readonly Interval[] {
    return this.#merged;
  }

  get isStarted(): boolean {
    return this.#merged.length > 0;
  }

  get isCompleted(): boolean {
    return this.stopped !== undefined;
  }

  /** When it last stopped; undefined while it runs. */
  get stopped(): Nanoseconds | undefined {
    return this.#merged.at(-1)?.stop;
  }

  /** Whether a cancelled build is all that is wrong with it. */
  get isCanceled(): boolean {
    return this.error.endsWith('context canceled');
  }

  /** Counts something worth showing. */
  touch(nowMs: number): void {
    if (this.activity === 0) this.activeSinceMs = nowMs;
    this.activity += 1;
  }

  /** Takes over a record of the vertex; returns whether that is worth showing. */
  apply(record: Vertex): boolean {
    // The daemon announces vertices before they start, and may do so again later.
    if (!this.isStarted || record.started !== undefined) {
      this.name = record.name;
      this.error = record.error;
      this.cached = record.cached;
    }
    if (record.started === undefined) return false;
    const last = this.#lastRecord;
    this.#lastRecord = record;
    const start = nanosecondsOf(record.started);
    this.setInterval(start, record);
    this.mergeIntervals();
    return (
      last === undefined ||
      record.completed !== undefined ||
      last.name !== record.name ||
      last.cached !== record.cached ||
      last.error !== record.error ||
      nanosecondsOf(last.started) !== start
    );
  }

  /** Takes over a status; one that never started is not shown. */
  applyStatus(status: VertexStatus): void {
    if (status.started !== undefined || this.statuses.has(status.ID)) {
      this.statuses.set(status.ID, status);
    }
    this.changedStatuses.add(status.ID);
  }

  /** The time at a moment since the vertex last started, as log lines show it. */
  elapsedAt(moment: Nanoseconds): string {
    const start = this.#merged.at(-1)?.start;
    return formatElapsed(start === undefined ? 0n : moment - start);
  }

  /** Remembers when a record says it ran; returns whether that is new. */
  protected setInterval(start: Nanoseconds, record: Vertex): boolean {
    const stop = record.completed === undefined ? undefined : nanosecondsOf(record.completed);
    const known = this.#intervals.get(start);
    this.#intervals.set(start, { start, stop });
    return known === undefined || known.stop !== stop;
  }

  protected mergeIntervals(): void {
    this.#merged = mergeIntervals(this.#intervals.values());
  }
}

/** Vertices that the daemon wants shown as one: cached when all are, failed when one is. */
export class TracedGroup extends TracedVertex {
  override hidden = true;
  /** The member whose error the group shows; empty while there is none. */
  failedDigest = '';
  readonly #members = new Map<string, Vertex>();

  constructor(group: ProgressGroup) {
    super(group.id, group.name);
  }

  setMember(record: Vertex): void {
    this.#members.set(record.digest, record);
  }

  /** Works out the state from the members'; returns whether something worth showing changed. */
  refresh(): boolean {
    const [wasHidden, hadCached, hadError] = [this.hidden, this.cached, this.error];
    let changed = false;
    this.cached = true;
    for (const member of this.#members.values()) {
      if (member.started !== undefined) {
        changed = this.setInterval(nanosecondsOf(member.started), member) || changed;
        if (member.progressGroup?.weak !== true) this.hidden = false;
      }
      this.cached &&= member.cached;
      this.#takeError(member);
    }
    this.mergeIntervals();
    return (
      changed || this.cached !== hadCached || this.error !== hadError || this.hidden !== wasHidden
    );
  }

  #takeError(member: Vertex): void {
    if (this.error !== '') {
      this.hidden = false;
    } else if (member.error !== '') {
      this.error = member.error;
      this.failedDigest = member.digest;
    }
  }
}
