import { CodedError } from '../shared/errors.ts';

export type ActionErrorCode = 'STATE_INVALID' | 'UNEXPECTED_FAILURE';

/** A failure between the action and GitHub's runner. */
export class ActionError extends CodedError<ActionErrorCode> {
  override readonly name = 'ActionError';
}
