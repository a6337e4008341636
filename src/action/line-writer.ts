/**
 * Passes on text in whole lines, since the log of a runner knows nothing smaller.
 *
 * Call `end` when nothing more comes; it passes on what is left.
 */
export class LineWriter {
  readonly #write: (lines: string) => void;
  #rest = '';

  /** `write` gets one or more lines, without the last line end. */
  constructor(write: (lines: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    const end = text.lastIndexOf('\n');
    if (end < 0) {
      this.#rest += text;
      return;
    }
    this.#write(this.#rest + text.slice(0, end));
    this.#rest = text.slice(end + 1);
  }

  end(): void {
    if (this.#rest !== '') this.#write(this.#rest);
    this.#rest = '';
  }
}
