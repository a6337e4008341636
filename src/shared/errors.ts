/**
 * What an error carries beside its code and message.
 *
 * `hint` is one sentence that says what to change; `cause` is the failure underneath.
 */
export interface ErrorDetails {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Base of every error that the action throws on purpose.
 *
 * Callers match `code`, never the text. Each folder has one subclass with its own union of codes;
 * every code is explained in `docs/errors.md`.
 */
export class CodedError<Code extends string = string> extends Error {
  override readonly name: string = 'CodedError';
  readonly code: Code;
  readonly hint: string | undefined;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }
}

/** The text of anything that was thrown, without a stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
