import { describe, expect, it } from '@jest/globals';

import { parseExecStatus, StatusText } from '../../../../src/kubernetes/exec/exec-status.ts';

const failure = (fields: object): string => JSON.stringify({ status: 'Failure', ...fields });

describe('parseExecStatus', () => {
  it('knows success', () => {
    expect(parseExecStatus('{"metadata":{},"status":"Success"}')).toEqual({
      kind: 'exited',
      exitCode: 0,
    });
  });

  it('finds the exit code among other causes', () => {
    const causes = [
      { reason: 'Other', message: '7' },
      'odd',
      { reason: 'ExitCode', message: '42' },
    ];
    const text = failure({ reason: 'NonZeroExitCode', details: { causes } });
    expect(parseExecStatus(text)).toEqual({ kind: 'exited', exitCode: 42 });
  });

  it('takes an exit code that is no number for what it is', () => {
    const causes = [{ reason: 'ExitCode', message: 'unknown' }];
    const text = failure({ reason: 'NonZeroExitCode', message: 'died', details: { causes } });
    expect(parseExecStatus(text)).toEqual({
      kind: 'failed',
      reason: 'NonZeroExitCode',
      message: 'died',
    });
  });

  it('drops the words that each hop adds', () => {
    const message = 'Internal error occurred: Internal error occurred: container not found ("x")';
    expect(parseExecStatus(failure({ reason: 'InternalError', message }))).toEqual({
      kind: 'failed',
      reason: 'InternalError',
      message: 'container not found ("x")',
    });
  });

  it('bears what is missing or of another type', () => {
    expect(
      parseExecStatus(failure({ message: 3, reason: null, details: { causes: 'none' } })),
    ).toEqual({ kind: 'failed', reason: 'Unknown', message: '' });
  });

  it.each(['', '{"status":"Succ', 'null', '[]', '{}', '"Success"', 'exit status 1'])(
    'waits for more, or for another reading, of %j',
    (text) => {
      expect(parseExecStatus(text)).toBeUndefined();
    },
  );
});

describe('StatusText', () => {
  it('joins characters that were cut', () => {
    const text = new StatusText();
    for (const byte of Buffer.from('grün €')) text.append(Buffer.of(byte));
    expect(text.text).toBe('grün €');
    text.clear();
    expect(text.text).toBe('');
  });

  it('keeps 64 KiB at most', () => {
    const text = new StatusText();
    for (let count = 0; count < 100; count += 1) text.append(Buffer.alloc(1000, 'x'));
    expect(text.text).toHaveLength(65536);
  });
});
