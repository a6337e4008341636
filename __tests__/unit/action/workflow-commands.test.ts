import * as core from '@actions/core';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { rmSync, writeFileSync } from 'node:fs';

import {
  formatCommand,
  writeOutput,
  writeState,
  writeVariable,
} from '../../../src/action/workflow-commands.ts';
import { RecordingHost } from './recording-host.ts';

const nasty = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('%', '\r', '\n', ':', ',', '=', '::', '<<', 'é', 'a') }),
);

/** What `@actions/core` prints while a call runs. */
function printedByCore(call: () => void): string {
  const write = process.stdout.write.bind(process.stdout);
  let printed = '';
  process.stdout.write = (chunk: string | Uint8Array): boolean => {
    printed += chunk.toString();
    return true;
  };
  try {
    call();
  } finally {
    process.stdout.write = write;
  }
  return printed;
}

describe('formatCommand', () => {
  it('prints what @actions/core prints', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (message, title, file) => {
        expect(`${formatCommand('error', message, { title, file, line: 3 })}\n`).toBe(
          printedByCore(() => {
            core.error(message, { title, file, startLine: 3 });
          }),
        );
      }),
    );
  });

  it('leaves out what is not known', () => {
    expect(formatCommand('error', 'm', { title: undefined, file: '' })).toBe('::error::m');
    expect(formatCommand('warning', '50%\r\nof a:b', { title: 'a:b,c', line: 1 })).toBe(
      '::warning title=a%3Ab%2Cc,line=1::50%25%0D%0Aof a:b',
    );
  });
});

describe('command files', () => {
  let host: RecordingHost;
  const saved = { ...process.env };

  beforeEach(() => {
    host = new RecordingHost();
  });

  afterEach(() => {
    host[Symbol.dispose]();
    process.env = { ...saved };
  });

  it.each([
    ['GITHUB_OUTPUT', writeOutput, core.setOutput],
    ['GITHUB_STATE', writeState, core.saveState],
    ['GITHUB_ENV', writeVariable, core.exportVariable],
  ] as const)('write %s as @actions/core does', (variable, ours, theirs) => {
    const path = host.env[variable]!;
    process.env[variable] = path;
    const withoutDelimiters = (): string =>
      host.file(variable).replaceAll(/ghadelimiter_[0-9a-f-]{36}/g, 'ghadelimiter_');
    fc.assert(
      fc.property(nasty, (value) => {
        writeFileSync(path, '');
        ours('digest', value, host);
        const written = withoutDelimiters();
        writeFileSync(path, '');
        theirs('digest', value);
        expect(written).toBe(withoutDelimiters());
      }),
      { numRuns: 30 },
    );
  });

  it('keep values apart, whatever is in them', () => {
    const value = 'a\nother<<EOF\nx\nEOF\n\nghadelimiter_\n';
    writeOutput('metadata', value, host);
    writeOutput('digest', 'sha256:1', host);
    writeOutput('empty', '', host);
    expect(host.values('GITHUB_OUTPUT')).toEqual({
      metadata: value,
      digest: 'sha256:1',
      empty: '',
    });
    expect(host.printed).toBe('');
  });

  it('are replaced by commands on a runner without them', () => {
    const old = { env: {}, write: host.write };
    writeOutput('digest', 'a\nb', old);
    writeState('builder', '{}', old);
    expect(host.printed).toBe('::set-output name=digest::a%0Ab\n::save-state name=builder::{}\n');
  });

  it('fail loudly when they cannot be written', () => {
    const path = host.env.GITHUB_OUTPUT!;
    rmSync(path);
    host.env.GITHUB_OUTPUT = `${path}/x`;
    expect(() => {
      writeOutput('digest', 'x', host);
    }).toThrow(/ENOENT/);
  });
});
