import { describe, expect, it } from '@jest/globals';
import { withAttempts } from '../../src/attempts.ts';
import { CodedError, messageOf } from '../../src/shared/errors.ts';
import { nullLogger } from '../../src/shared/logger.ts';

const lost = (message: string): CodedError =>
  new CodedError('BUILDER_LOST', message, { hint: 'Look.', cause: 'EOF' });

/** Runs attempts that fail one after the other, and then succeed with their number. */
async function run(
  failures: readonly (Error | 'cancel')[],
  { retries = 2, controller = new AbortController(), isInfrastructure = true } = {},
) {
  const lines: string[] = [];
  const note = (line: string) => lines.push(line);
  const numbers: number[] = [];
  const told: string[] = [];
  const outcome = await withAttempts(
    {
      retries,
      signal: controller.signal,
      logger: { ...nullLogger, info: note, warning: note },
      isInfrastructure: () => isInfrastructure,
      firstPauseMs: 1,
    },
    (number, before) => {
      numbers.push(number);
      told.push(before.map(messageOf).join());
      const failure = failures[number - 1];
      if (failure === undefined) return Promise.resolve(`built in ${number}`);
      if (failure !== 'cancel') return Promise.reject(failure);
      controller.abort(new Error('cancelled'));
      return Promise.reject(new Error('was cancelled'));
    },
  ).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  return { ...outcome, lines, numbers, told };
}

describe('withAttempts', () => {
  it('says nothing when the first attempt succeeds', async () => {
    expect(await run([])).toEqual({
      value: { value: 'built in 1', attempts: 1 },
      lines: [],
      numbers: [1],
      told: [''],
    });
  });

  it('tries again, and tells why', async () => {
    expect(await run([lost('pod b-1 was deleted'), lost('pod b-2 was deleted')])).toEqual({
      value: { value: 'built in 3', attempts: 3 },
      lines: [
        'Attempt 1 of 3 failed: pod b-1 was deleted [BUILDER_LOST]',
        'Attempt 2 of 3',
        'Attempt 2 of 3 failed: pod b-2 was deleted [BUILDER_LOST]',
        'Attempt 3 of 3',
      ],
      numbers: [1, 2, 3],
      told: ['', 'pod b-1 was deleted', 'pod b-1 was deleted,pod b-2 was deleted'],
    });
  });

  it('says in the end how often it was tried', async () => {
    expect(await run([lost('a'), lost('b'), lost('c'), lost('d')])).toMatchObject({
      numbers: [1, 2, 3],
      error: {
        code: 'BUILDER_LOST',
        message: 'c (in the last of 3 attempts)',
        hint: 'Look.',
        cause: 'EOF',
      },
    });
  });

  it('leaves alone what would fail again', async () => {
    const failure = new Error('exit code: 1');
    expect(await run([failure], { isInfrastructure: false })).toEqual({
      error: failure,
      lines: [],
      numbers: [1],
      told: [''],
    });
  });

  it('gives the failure as it is where nothing is to be repeated', async () => {
    const failure = lost('a');
    expect(await run([failure], { retries: 0 })).toEqual({
      error: failure,
      lines: [],
      numbers: [1],
      told: [''],
    });
  });

  it('does not repeat what was cancelled', async () => {
    expect(await run(['cancel'])).toMatchObject({ error: new Error('cancelled'), numbers: [1] });
  });

  it('does not wait any longer once it is cancelled', async () => {
    const controller = new AbortController();
    const attempts = withAttempts(
      {
        retries: 1,
        signal: controller.signal,
        logger: nullLogger,
        isInfrastructure: () => true,
        firstPauseMs: 3_600_000,
      },
      () => {
        setImmediate(() => {
          controller.abort(new Error('cancelled'));
        });
        return Promise.reject(lost('a'));
      },
    );
    await expect(attempts).rejects.toThrow('cancelled');
  });
});
