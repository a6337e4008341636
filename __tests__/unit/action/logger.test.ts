import { describe, expect, it } from '@jest/globals';

import { createLogger, type ActionLogger } from '../../../src/action/logger.ts';

function record(call: (logger: ActionLogger) => void): string {
  let printed = '';
  const write = (text: string): void => {
    printed += text;
  };
  call(createLogger({ env: {}, write }));
  return printed;
}

describe('createLogger', () => {
  it.each<[string, (logger: ActionLogger) => void, string]>([
    [
      'info',
      (log) => {
        log.info('#5 0.1 a 50% :: b');
      },
      '#5 0.1 a 50% :: b\n',
    ],
    [
      'info of several lines',
      (log) => {
        log.info('a\nb');
      },
      'a\nb\n',
    ],
    [
      'debug',
      (log) => {
        log.debug('a\nb');
      },
      '::debug::a%0Ab\n',
    ],
    [
      'notice',
      (log) => {
        log.notice('n');
      },
      '::notice::n\n',
    ],
    [
      'warning',
      (log) => {
        log.warning('w');
      },
      '::warning::w\n',
    ],
    [
      'groups',
      (log) => {
        log.startGroup('build');
        log.endGroup();
      },
      '::group::build\n::endgroup::\n',
    ],
    [
      'masks',
      (log) => {
        log.mask('a\nb');
        log.mask('');
      },
      '::add-mask::a%0Ab\n',
    ],
    [
      'errors',
      (log) => {
        log.error('e');
      },
      '::error::e\n',
    ],
    [
      'errors on a line',
      (log) => {
        log.error('e', { title: 'T', location: { file: 'Dockerfile', line: 2 } });
      },
      '::error title=T,file=Dockerfile,line=2::e\n',
    ],
    [
      'errors on several lines',
      (log) => {
        log.error('e', { location: { file: 'a,b', line: 2, endLine: 4 } });
      },
      '::error file=a%2Cb,line=2,endLine=4::e\n',
    ],
  ])('prints %s', (_, call, expected) => {
    expect(record(call)).toBe(expected);
  });

  it.each([
    '::error::from the build',
    '  ::set-env name=PATH::/evil',
    '##[group]x',
    '#5 0.3 ##[save-state name=builder]{}',
    'first\n::add-mask::a',
    'progress\r::add-mask::a',
    '\u00a0\u2003::add-mask::a',
    '\u0085::add-mask::a',
    '#5 0.3 x\r \u0085 ::save-state name=builder::{}',
    'first\r\n\t::stop-commands::x',
  ])('lets the runner not obey %j', (text) => {
    const printed = record((logger) => {
      logger.info(text);
    });
    const [, token] = /^::stop-commands::([0-9a-f-]{36})\n/.exec(printed) ?? [];
    expect(token).toBeDefined();
    expect(printed).toBe(`::stop-commands::${token!}\n${text}\n::${token!}::\n`);
  });

  it('stops commands with another word each time', () => {
    const print = (): string =>
      record((logger) => {
        logger.info('::a::');
      });
    expect(print()).not.toBe(print());
  });
});
