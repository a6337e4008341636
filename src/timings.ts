/** How long the phases of a step took, one after the other. */
export class Timings {
  readonly #phases: [name: string, ms: number][] = [];
  /** Counts from the start of the process, so that loading the bundle belongs to the first phase. */
  #sinceMs = 0;

  /** Ends the phase that began with the process or with the last call. */
  end(phase: string): void {
    const nowMs = performance.now();
    this.#phases.push([phase, nowMs - this.#sinceMs]);
    this.#sinceMs = nowMs;
  }

  /** Milliseconds by phase, in order. */
  toJson(): string {
    return JSON.stringify(
      Object.fromEntries(this.#phases.map(([name, ms]) => [name, Math.round(ms)])),
    );
  }
}
