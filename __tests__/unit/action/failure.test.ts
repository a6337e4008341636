import { afterEach, describe, expect, it } from '@jest/globals';

import { describeFailure, fail } from '../../../src/action/failure.ts';
import { createLogger } from '../../../src/action/logger.ts';
import { InputError } from '../../../src/options/errors.ts';
import { CodedError } from '../../../src/shared/errors.ts';

describe('describeFailure', () => {
  it('tells sentence, code, causes and hint, each on its line', () => {
    const reset = new Error('read ECONNRESET');
    const lost = new CodedError('BUILDKIT_LOST', 'the connection ended', { cause: reset });
    const error = new CodedError('BUILDER_LOST', 'the pod is gone', {
      cause: lost,
      hint: 'Give it more memory.',
    });
    expect(describeFailure(error)).toEqual({
      code: 'BUILDER_LOST',
      text: [
        'the pod is gone [BUILDER_LOST]',
        'Caused by: the connection ended',
        'Caused by: read ECONNRESET',
        'Hint: Give it more memory.',
      ].join('\n'),
    });
  });

  it('gives one hint, the nearest to the top', () => {
    const deep = new CodedError('C', 'c', { hint: 'deep' });
    const middle = new CodedError('B', 'b', { cause: deep, hint: 'middle' });
    const { text } = describeFailure(new CodedError('A', 'a', { cause: middle }));
    expect(text.split('\n').slice(-1)).toEqual(['Hint: middle']);
    expect(text).not.toContain('deep');
  });

  it('does not repeat a cause that the sentence tells already', () => {
    const cause = new Error('connect refused');
    const { text } = describeFailure(new CodedError('A', 'no server: connect refused', { cause }));
    expect(text).toBe('no server: connect refused [A]');
  });

  it('reads the attempts out of an aggregate', () => {
    const attempts = [
      new Error('refused ::1'),
      new Error('refused 127.0.0.1'),
      new Error('refused ::1'),
    ];
    const { text } = describeFailure(
      new CodedError('A', 'a', { cause: new AggregateError(attempts) }),
    );
    expect(text).toBe('a [A]\nCaused by: refused ::1; refused 127.0.0.1');
  });

  it('puts every input on a line of its own with its hint', () => {
    const problems = [
      new InputError('INPUT_INVALID', 'input `a`: no', { hint: 'Say yes.' }),
      new InputError('INPUT_UNSUPPORTED', 'input `b` is not supported yet'),
    ];
    const error = new InputError('INPUTS_INVALID', '2 problems with the inputs', { problems });
    expect(describeFailure(error).text).toBe(
      [
        '2 problems with the inputs [INPUTS_INVALID]',
        '- input `a`: no (Say yes.) [INPUT_INVALID]',
        '- input `b` is not supported yet [INPUT_UNSUPPORTED]',
      ].join('\n'),
    );
    expect(describeFailure(problems[0]).text).toBe('input `a`: no [INPUT_INVALID]\nHint: Say yes.');
  });

  it.each([
    [
      new TypeError('x is not a function'),
      /^x is not a function \[UNEXPECTED_FAILURE\]\nHint: .*defect/,
    ],
    ['thrown text', /^thrown text \[UNEXPECTED_FAILURE\]/],
    [undefined, /^undefined \[UNEXPECTED_FAILURE\]/],
    [null, /^null \[UNEXPECTED_FAILURE\]/],
  ])('has a text for %p', (thrown, expected) => {
    expect(describeFailure(thrown).text).toMatch(expected);
  });

  it('ends on causes that go in a circle', () => {
    const error = new Error('a');
    error.cause = new Error('b', { cause: error });
    expect(describeFailure(error).text).toMatch(/^a \[.*\]\nCaused by: b\nHint/);
  });
});

describe('fail', () => {
  const before = process.exitCode;
  afterEach(() => {
    process.exitCode = before;
  });

  function failWith(thrown: unknown, location?: { file: string; line: number }): string {
    let printed = '';
    const logger = createLogger({
      env: {},
      write: (text) => {
        printed += text;
      },
    });
    fail(thrown, { logger, location });
    return printed;
  }

  it('annotates the line of the Dockerfile and ends the step with 1', () => {
    const printed = failWith(new CodedError('SOLVE_FAILED', 'exit code: 3', { hint: 'Look.' }), {
      file: 'Dockerfile',
      line: 2,
    });
    expect(printed).toBe(
      '::error title=SOLVE_FAILED,file=Dockerfile,line=2::exit code: 3 [SOLVE_FAILED]%0AHint: Look.\n',
    );
    expect(process.exitCode).toBe(1);
  });

  it('shows the stack of a defect in the debug log only', () => {
    const printed = failWith(new TypeError('oops'));
    expect(printed).toMatch(/^::debug::TypeError: oops%0A {4}at /);
    expect(printed.split('\n')[1]).not.toContain(' at ');
    expect(failWith(new CodedError('A', 'a'))).not.toContain('::debug');
  });
});
