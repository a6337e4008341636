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

  /** Runs a parser of one part of an input, whose problems and warnings are told with its place. */
  within<T>(place: string, parse: (problems: Problems) => T): T {
    const inner = new Problems();
    const result = parse(inner);
    for (const { code, message, hint } of inner.#found) {
      this.add(new InputError(code, `${place}: ${message}`, { hint }));
    }
    for (const warning of inner.#warnings) this.warn(`${place}: ${warning}`);
    return result;
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
