import { StringDecoder } from 'node:string_decoder';
import { type LogBlock, LogTail } from './log-tail.ts';

/** Of an unfinished line, as much is kept for printing it again as a reader can make use of. */
const maxKeptLineChars = 64 * 1024;

/**
 * The log of one vertex: what is not printed yet, and the tail for an error.
 *
 * Whole messages are handled as one text, never line by line, because a step may print millions.
 */
export class VertexLog {
  readonly #tail = new LogTail();
  /** One per stream, since a character may be split between messages. */
  readonly #decoders = new Map<bigint, StringDecoder>();
  /** Unprinted text; the first block may begin with an unfinished line that is already printed. */
  #blocks: LogBlock[] = [];
  #printedChars = 0;
  #unprintedChars = 0;
  #endsInsideLine = false;

  /** Whether the last line that arrived has no end yet. */
  get endsInsideLine(): boolean {
    return this.#endsInsideLine;
  }

  /** Length of the text that waits to be printed. */
  get unprintedChars(): number {
    return this.#unprintedChars;
  }

  append(stream: bigint, message: Uint8Array, elapsed: string): void {
    let decoder = this.#decoders.get(stream);
    if (decoder === undefined) {
      decoder = new StringDecoder('utf8');
      this.#decoders.set(stream, decoder);
    }
    this.#appendText(decoder.write(message), elapsed);
  }

  /** Says that no more comes, so half a character is shown as a replacement character. */
  endStreams(elapsed: string): void {
    for (const decoder of this.#decoders.values()) this.#appendText(decoder.end(), elapsed);
    this.#decoders.clear();
  }

  /** Takes the unprinted text, with `#index` and time in front of each line. */
  takeUnprinted(index: number): string {
    let printed = '';
    this.#blocks.forEach(({ elapsed, text }, position) => {
      if (position === 0 && this.#printedChars > 0) {
        printed += text.slice(this.#printedChars);
        return;
      }
      const prefix = `#${index} ${elapsed} `;
      const isWhole = text.endsWith('\n');
      const lines = (isWhole ? text.slice(0, -1) : text).replaceAll('\n', `\n${prefix}`);
      printed += isWhole ? `${prefix}${lines}\n` : `${prefix}${lines}`;
    });
    this.#keepUnfinishedLine();
    return printed;
  }

  /** Makes the unfinished line be printed from its start when it goes on. */
  restartLine(): void {
    this.#printedChars = 0;
  }

  /** At most the last `max` lines, oldest first, each with its time. */
  lastLines(max: number): string[] {
    return this.#tail.lines(max);
  }

  /** Forgets the tail, for a vertex that cannot be blamed any more. */
  dropTail(): void {
    this.#tail.clear();
  }

  #appendText(text: string, elapsed: string): void {
    if (text === '') return;
    this.#unprintedChars += text.length;
    let rest = text;
    const last = this.#blocks.at(-1);
    if (this.#endsInsideLine && last !== undefined) {
      const lineEnd = text.indexOf('\n') + 1;
      const continuation = lineEnd === 0 ? text : text.slice(0, lineEnd);
      last.text += continuation;
      this.#tail.extend(last.elapsed, continuation);
      rest = text.slice(continuation.length);
    }
    if (rest !== '') {
      this.#blocks.push({ elapsed, text: rest });
      this.#tail.start(elapsed, rest);
    }
    this.#endsInsideLine = !text.endsWith('\n');
  }

  #keepUnfinishedLine(): void {
    const last = this.#blocks.at(-1);
    this.#blocks = [];
    this.#printedChars = 0;
    this.#unprintedChars = 0;
    if (!this.#endsInsideLine || last === undefined) return;
    const line = last.text.slice(last.text.lastIndexOf('\n') + 1).slice(-maxKeptLineChars);
    this.#blocks.push({ elapsed: last.elapsed, text: line });
    this.#printedChars = line.length;
  }
}
