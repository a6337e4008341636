import { invalidInput } from './errors.ts';
import {
  parseCommaList,
  parseLineList,
  parseRawLineList,
  UnclosedQuoteError,
} from './list-modes.ts';
import type { Problems } from './problems.ts';
import type { RawInputs } from './world.ts';

/** Reads raw inputs in the modes of the Docker actions; what is malformed goes to `problems`. */
export class InputReader {
  readonly problems: Problems;
  readonly #raw: RawInputs;

  constructor(raw: RawInputs, problems: Problems) {
    this.#raw = raw;
    this.problems = problems;
  }

  /** The trimmed value; empty when the input was not given. */
  string(name: string): string {
    return (this.#raw[name] ?? '').trim();
  }

  /** The trimmed value; undefined when the input was not given. */
  optional(name: string): string | undefined {
    const value = this.string(name);
    return value === '' ? undefined : value;
  }

  /** A boolean of the YAML core schema; undefined, and a problem, when it is anything else. */
  boolean(name: string): boolean | undefined {
    const value = this.string(name);
    if (/^(?:true|True|TRUE)$/.test(value)) return true;
    if (/^(?:false|False|FALSE)$/.test(value)) return false;
    const hint = `An expression gave an empty text; write \`${name}: \${{ … || false }}\`.`;
    this.problems.add(
      invalidInput({
        input: name,
        value,
        problem: 'is not a boolean',
        expected: 'true or false',
        hint: value === '' ? hint : undefined,
      }),
    );
    return undefined;
  }

  commaList(name: string): string[] {
    return this.#list(name, parseCommaList);
  }

  lineList(name: string): string[] {
    return this.#list(name, parseLineList);
  }

  rawLineList(name: string): string[] {
    return this.#list(name, parseRawLineList);
  }

  #list(name: string, parse: (text: string) => string[]): string[] {
    return this.problems.guard([], () => {
      try {
        return parse(this.#raw[name] ?? '');
      } catch (error) {
        if (!(error instanceof UnclosedQuoteError)) throw error;
        throw invalidInput({
          input: name,
          problem: 'has a quote that is never closed',
          expected: 'a list, one element per line, quotes in pairs',
        });
      }
    });
  }
}
