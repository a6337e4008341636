import type { Logger } from '../shared/logger.ts';

/** Says each thing once, however often it is seen. */
export class Notices {
  readonly #said = new Set<string>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  once(text: string): void {
    if (this.#isNew(text)) this.#logger.info(text);
  }

  /** For those who debug. */
  quietly(text: string): void {
    if (this.#isNew(text)) this.#logger.debug(text);
  }

  #isNew(text: string): boolean {
    const isNew = !this.#said.has(text);
    this.#said.add(text);
    return isNew;
  }
}
