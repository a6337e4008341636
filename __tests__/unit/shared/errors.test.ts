import { describe, expect, it } from '@jest/globals';

import { CodedError, messageOf } from '../../../src/shared/errors.ts';

describe('CodedError', () => {
  it('keeps code, hint and cause beside the message', () => {
    const cause = new Error('socket closed');
    const error = new CodedError('X_LOST', 'lost the builder', { hint: 'try again', cause });
    expect(error).toMatchObject({ code: 'X_LOST', message: 'lost the builder', hint: 'try again' });
    expect(error.cause).toBe(cause);
  });

  it('has no own cause when none was given', () => {
    expect('cause' in new CodedError('X', 'x')).toBe(false);
  });
});

describe('messageOf', () => {
  it('reads errors and anything else', () => {
    expect(messageOf(new Error('a'))).toBe('a');
    expect(messageOf('b')).toBe('b');
  });
});
