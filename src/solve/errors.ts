import { CodedError, type ErrorDetails } from '../shared/errors.ts';
import type { BuildFailure } from './failure.ts';

export type SolveErrorCode = 'SOLVE_CANCELED' | 'SOLVE_FAILED' | 'SOLVE_TIMEOUT';

/** A build that did not succeed. */
export class SolveError extends CodedError<SolveErrorCode> {
  override readonly name = 'SolveError';
  /** Where it failed, as far as the daemon told; only with `SOLVE_FAILED`. */
  readonly failure: BuildFailure | undefined;

  constructor(
    code: SolveErrorCode,
    message: string,
    details: ErrorDetails & { readonly failure?: BuildFailure } = {},
  ) {
    super(code, message, details);
    this.failure = details.failure;
  }
}
