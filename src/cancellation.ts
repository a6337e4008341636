import { CodedError } from './shared/errors.ts';

/** The run was ended from outside. */
export class CancelledError extends CodedError<'CANCELLED'> {
  override readonly name = 'CancelledError';
}

/** Fires when the runner cancels the job; disposing takes the handlers off. */
export interface Cancellation extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Turns the signals of a cancelled job into an abort.
 *
 * GitHub's runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that.
 */
export function listenForCancellation(): Cancellation {
  const controller = new AbortController();
  const cancel = (name: NodeJS.Signals): void => {
    controller.abort(new CancelledError('CANCELLED', `cancelled by ${name}`));
  };
  process.on('SIGINT', cancel);
  process.on('SIGTERM', cancel);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', cancel);
      process.off('SIGTERM', cancel);
    },
  };
}
