import type { StatusResponse, Vertex } from '../wire/gen/control.ts';
import { nanosecondsOf } from './plain-format.ts';
import { TracedGroup, TracedVertex } from './traced-vertex.ts';

/**
 * What the status messages of one build have said so far.
 *
 * Follows BuildKit's `util/progress/progressui`, whose plain display this folder reproduces.
 */
export class Trace {
  /** Members of a group lead to the group. */
  readonly #byDigest = new Map<string, TracedVertex>();
  readonly #groups = new Map<string, TracedGroup>();
  readonly #started: TracedVertex[] = [];
  /** Vertices with something new to print. */
  readonly changed = new Set<TracedVertex>();

  /** Vertices that have started, in that order; a group once it is shown. */
  get started(): readonly TracedVertex[] {
    return this.#started;
  }

  /** Adds one message; `nowMs` is the display's clock, used only to share out the output. */
  update(status: StatusResponse, nowMs: number): void {
    this.#updateVertices(status.vertexes, nowMs);
    for (const update of status.statuses) {
      const vertex = this.#byDigest.get(update.vertex);
      if (vertex === undefined) continue;
      vertex.applyStatus(update);
      this.#touch(vertex, nowMs);
    }
    for (const warning of status.warnings) {
      const vertex = this.#byDigest.get(warning.vertex);
      if (vertex === undefined) continue;
      vertex.unprintedWarnings.push(warning.short.toString());
      // Upstream waits with a warning until something else makes the vertex be printed.
      vertex.touch(nowMs);
    }
    for (const log of status.logs) {
      const vertex = this.#byDigest.get(log.vertex);
      if (vertex === undefined) continue;
      vertex.log.append(log.stream, log.msg, vertex.elapsedAt(nanosecondsOf(log.timestamp)));
      this.#touch(vertex, nowMs);
    }
    for (const { digest } of status.vertexes) this.#endLog(this.#byDigest.get(digest));
  }

  #updateVertices(records: readonly Vertex[], nowMs: number): void {
    const groups = new Set<TracedGroup>();
    for (const record of records) {
      if (record.progressGroup === undefined) this.#updateVertex(record, nowMs);
      else groups.add(this.#addMember(record));
    }
    for (const group of groups) {
      const wasHidden = group.hidden;
      const changed = group.refresh();
      if (group.hidden) continue;
      if (wasHidden) this.#started.push(group);
      if (changed) this.#touch(group, nowMs);
    }
  }

  #updateVertex(record: Vertex, nowMs: number): void {
    let vertex = this.#byDigest.get(record.digest);
    if (vertex === undefined) {
      vertex = new TracedVertex(record.digest, record.name);
      this.#byDigest.set(record.digest, vertex);
    }
    const wasStarted = vertex.isStarted;
    if (vertex.apply(record)) this.#touch(vertex, nowMs);
    if (!wasStarted && vertex.isStarted) this.#started.push(vertex);
  }

  #addMember(record: Vertex): TracedGroup {
    const { progressGroup = { id: '', name: '', weak: false } } = record;
    let group = this.#groups.get(progressGroup.id);
    if (group === undefined) {
      group = new TracedGroup(progressGroup);
      this.#groups.set(group.digest, group);
      this.#byDigest.set(group.digest, group);
    }
    group.setMember(record);
    this.#byDigest.set(record.digest, group);
    return group;
  }

  #touch(vertex: TracedVertex, nowMs: number): void {
    vertex.touch(nowMs);
    this.changed.add(vertex);
  }

  /** The log that came with the completion of a vertex belongs to it still, hence only then. */
  #endLog(vertex: TracedVertex | undefined): void {
    if (vertex?.stopped === undefined) return;
    vertex.log.endStreams(vertex.elapsedAt(vertex.stopped));
    if (vertex.error === '') vertex.log.dropTail();
  }
}
