import type { Logger } from '../shared/logger.ts';

/** Says each thing once, however often it is seen. */
export class Notices {
  readonly #said = new Set<string>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  once(text: string): void {
    if (this.#said.has(text)) return;
    this.#said.add(text);
    this.#logger.info(text);
  }
}
