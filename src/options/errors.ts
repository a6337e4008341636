import { CodedError, type ErrorDetails } from '../shared/errors.ts';

export type InputErrorCode =
  | 'CONTEXT_MISSING'
  | 'DOCKERFILE_MISSING'
  | 'INPUTS_INVALID'
  | 'INPUT_CONTRADICTION'
  | 'INPUT_INVALID'
  | 'INPUT_UNSUPPORTED';

/**
 * What the user wrote in the workflow cannot be done.
 *
 * The message names the input, the value unless it may hold a secret, and the accepted form.
 */
export class InputError extends CodedError<InputErrorCode> {
  override readonly name = 'InputError';
  /** The input that is wrong; empty for several. */
  readonly input: string;
  /** All problems found in this run; the error itself when there is only one. */
  readonly problems: readonly InputError[];

  constructor(
    code: InputErrorCode,
    message: string,
    details: ErrorDetails & {
      readonly input?: string;
      readonly problems?: readonly InputError[];
    } = {},
  ) {
    super(code, message, details);
    this.input = details.input ?? '';
    this.problems = details.problems ?? [this];
  }
}
