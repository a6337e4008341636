import { InputError } from './errors.ts';

/** Gathers what is wrong with the inputs, so that the user sees all of it in one run. */
export class Problems {
  readonly #found: InputError[] = [];
  readonly #warnings: string[] = [];

  /** What is legal, but hardly what was meant. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  warn(warning: string): void {
    this.#warnings.push(warning);
  }

  add(problem: InputError): void {
    this.#found.push(...problem.problems);
  }

  /** Runs a parser; an `InputError` of it is kept and the fallback taken instead. */
  guard<T>(fallback: T, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.add(error);
      return fallback;
    }
  }

  /** The parsed elements, without those that are wrong. */
  guardEach<T, R>(elements: readonly T[], parse: (element: T, index: number) => R): R[] {
    return elements.flatMap((element, index) => this.guard<R[]>([], () => [parse(element, index)]));
  }

  /** Throws the only problem as it is, several as one `INPUTS_INVALID`. */
  throwIfAny(): void {
    const [first, second] = this.#found;
    if (first === undefined) return;
    if (second === undefined) throw first;
    throw new InputError(
      'INPUTS_INVALID',
      `${this.#found.length} problems with the inputs; nothing was created`,
      { problems: this.#found },
    );
  }
}
