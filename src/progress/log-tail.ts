/** Log text that arrived at one moment; lines inside are separated by newlines. */
export interface LogBlock {
  /** Time since the vertex started, as it is printed in front of each line. */
  readonly elapsed: string;
  text: string;
}

const maxTailChars = 64 * 1024;

/**
 * Remembers the end of a log in bounded memory, cheaply for each of millions of lines.
 *
 * It keeps text by length, at least the last 64 Ki characters, and counts lines only when asked.
 */
export class LogTail {
  #blocks: LogBlock[] = [];
  #chars = 0;

  start(elapsed: string, text: string): void {
    this.#blocks.push({ elapsed, text });
    this.#added(text);
  }

  /** Adds to the unfinished last line, which began at `elapsed`. */
  extend(elapsed: string, text: string): void {
    const last = this.#blocks.at(-1);
    if (last === undefined) {
      this.start(elapsed, text);
      return;
    }
    last.text += text;
    this.#added(text);
  }

  clear(): void {
    this.#blocks = [];
    this.#chars = 0;
  }

  /** At most the last `max` lines, oldest first, each with its time: `0.312 text`. */
  lines(max: number): string[] {
    const newestFirst: string[] = [];
    for (const { elapsed, text } of this.#blocks.toReversed()) {
      const lines = text.split('\n');
      if (lines.at(-1) === '') lines.pop();
      for (const line of lines.toReversed()) {
        if (newestFirst.length === max) return newestFirst.reverse();
        newestFirst.push(`${elapsed} ${line}`);
      }
    }
    return newestFirst.reverse();
  }

  /** Cuts back to the limit only after twice as much came, so that cutting stays rare. */
  #added(text: string): void {
    this.#chars += text.length;
    if (this.#chars <= 2 * maxTailChars) return;
    let dropped = 0;
    for (const block of this.#blocks) {
      if (this.#chars - block.text.length < maxTailChars) break;
      this.#chars -= block.text.length;
      dropped += 1;
    }
    this.#blocks.splice(0, dropped);
    const first = this.#blocks[0];
    if (first === undefined || this.#chars <= 2 * maxTailChars) return;
    const kept = first.text.length - (this.#chars - maxTailChars);
    this.#chars = maxTailChars;
    // Through bytes, since a mere slice would keep the whole of the original alive.
    first.text = Buffer.from(first.text.slice(-kept)).toString();
  }
}
