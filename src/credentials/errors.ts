import { CodedError } from '../shared/errors.ts';

export type CredentialErrorCode = 'CREDENTIAL_HELPER_MISSING' | 'CREDENTIAL_HELPER_FAILED';

/** A failure to get the credentials of one registry; never carries any of them. */
export class CredentialError extends CodedError<CredentialErrorCode> {
  override readonly name = 'CredentialError';
}
