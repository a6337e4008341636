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

  /** Runs a parser of one part of an input, such as `item 2`, which its problems and warnings then name. */
  within<T>(
    { input, part }: { readonly input: string; readonly part: string },
    parse: (problems: Problems) => T,
  ): T {
    const inner = new Problems();
    const result = parse(inner);
    const ofInput = `input \`${input}\`: `;
    const placed = (message: string): string => {
      const said = message.startsWith(ofInput) ? message.slice(ofInput.length) : message;
      const isVerb = said !== message && /^[a-z]/.test(said);
      return `${ofInput}${part}${isVerb ? '' : ':'} ${said}`;
    };
    for (const { code, message, hint } of inner.#found) {
      this.add(new InputError(code, placed(message), { hint }));
    }
    for (const warning of inner.#warnings) this.warn(placed(warning));
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
