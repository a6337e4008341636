import { CodedError, type ErrorDetails } from '../shared/errors.ts';

export type InputErrorCode =
  | 'CONTEXT_MISSING'
  | 'DOCKERFILE_MISSING'
  | 'INPUTS_INVALID'
  | 'INPUT_CONTRADICTION'
  | 'INPUT_FORBIDDEN'
  | 'INPUT_INVALID'
  | 'INPUT_UNSUPPORTED';

/**
 * What the user wrote in the workflow cannot be done.
 *
 * The message names the input, the value unless it may hold a secret, and the accepted form.
 */
export class InputError extends CodedError<InputErrorCode> {
  override readonly name = 'InputError';
  /** All problems found in this run; the error itself when there is only one. */
  readonly problems: readonly InputError[];

  constructor(
    code: InputErrorCode,
    message: string,
    details: ErrorDetails & { readonly problems?: readonly InputError[] } = {},
  ) {
    super(code, message, details);
    this.problems = details.problems ?? [this];
  }
}

/** What is wrong with the value of one input. */
export interface InvalidInput {
  readonly input: string;
  /** Left out where it may hold a secret. */
  readonly value?: string;
  /** Continues the sentence after the value, such as `is not a duration`. */
  readonly problem: string;
  /** The accepted form, with an example. */
  readonly expected?: string;
  readonly hint?: string | undefined;
}

/** An `INPUT_INVALID` error in the one wording that all inputs share. */
export function invalidInput({ input, value, problem, expected, hint }: InvalidInput): InputError {
  const subject = value === undefined ? '' : `${quote(value)} `;
  const form = expected === undefined ? '' : `; expected ${expected}`;
  return new InputError('INPUT_INVALID', `input \`${input}\`: ${subject}${problem}${form}`, {
    hint,
  });
}

/** An `INPUT_UNSUPPORTED` error: legal, but this version cannot do it. */
export function notSupportedYet(what: string, hint?: string): InputError {
  return new InputError('INPUT_UNSUPPORTED', `${what} is not supported yet`, { hint });
}

const longestQuote = 120;

/** A value of the user as one line of readable length. */
export function quote(value: string): string {
  const line = value.replaceAll(/\s*[\r\n]+\s*/g, '⏎').replaceAll(/\p{Cc}/gu, '�');
  const short = line.length > longestQuote ? `${line.slice(0, longestQuote)}…` : line;
  return `\`${short}\``;
}
