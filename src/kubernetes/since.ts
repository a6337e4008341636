/** Since when each text holds; one that goes and comes again starts anew. */
export class Since {
  readonly #since = new Map<string, number>();

  /** Takes the texts that hold at `now`, in the order told. */
  look(texts: readonly string[], now: number): ReadonlyMap<string, number> {
    for (const text of this.#since.keys()) {
      if (!texts.includes(text)) this.#since.delete(text);
    }
    for (const text of texts) {
      if (!this.#since.has(text)) this.#since.set(text, now);
    }
    return this.#since;
  }
}
