import { CodedError } from '../shared/errors.ts';

export type RemoteErrorCode = 'REMOTE_UNREACHABLE' | 'REMOTE_REFUSED' | 'REMOTE_LOST';

/** A failure of a daemon that was there before us, or of the way to it. */
export class RemoteError extends CodedError<RemoteErrorCode> {
  override readonly name = 'RemoteError';
}
