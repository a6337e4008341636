import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failureLocation } from '../../src/failure-location.ts';
import { blameIgnoreFile } from '../../src/ignore-file-fault.ts';
import { SessionError } from '../../src/session/errors.ts';
import { PatternSyntaxError } from '../../src/session/filesync/glob.ts';
import { SolveError } from '../../src/solve/errors.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ignore-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const syntaxError = new SolveError('SOLVE_FAILED', 'syntax error in pattern');
const ours = (line: string): SessionError =>
  new SessionError('SESSION_PATTERN_INVALID', 'cannot filter "context"', {
    cause: new PatternSyntaxError('not valid', { line }),
  });

async function blame(error: unknown, files: Record<string, string>): Promise<unknown> {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const dockerfilePath = join(folder, 'Dockerfile');
  return blameIgnoreFile(error, { contextPath: folder, dockerfilePath });
}

describe('blameIgnoreFile', () => {
  it.each([
    {
      who: 'the daemon',
      error: syntaxError,
      content: 'fine\r\n\n# [\n  !/docs/[a \n',
      line: 4,
      pattern: '!docs/[a',
    },
    { who: 'the daemon', error: syntaxError, content: 'fine\n!\n', line: 2, pattern: '!' },
    {
      who: 'we',
      error: ours('a\\obj'),
      content: '\ufeffa\\jbo\n[a\n ./a\\obj/ \n',
      line: 3,
      pattern: 'a\\obj',
    },
    { who: 'we', error: ours('!a\\obj'), content: '! a\\obj', line: 1, pattern: '!a\\obj' },
  ])('names line $line that $who refused', async ({ error, content, line, pattern }) => {
    const found = await blame(error, { '.dockerignore': content });
    const path = join(folder, '.dockerignore');
    expect(found).toBeInstanceOf(SessionError);
    expect(found).toMatchObject({
      code: 'SESSION_PATTERN_INVALID',
      place: { path, line },
      cause: error,
    });
    expect((found as Error).message).toContain(
      `${path}, line ${line}: pattern "${pattern}" is not`,
    );
    const location = { dockerfilePath: join(folder, 'Dockerfile') };
    expect(failureLocation(found, location, folder)).toEqual({ file: '.dockerignore', line });
    expect(failureLocation(found, location, join(folder, 'elsewhere'))).toBeUndefined();
  });

  it('looks into the file of the Dockerfile alone where there is one', async () => {
    const both = { 'Dockerfile.dockerignore': '[b', '.dockerignore': '[a' };
    expect(await blame(syntaxError, both)).toMatchObject({
      place: { path: join(folder, 'Dockerfile.dockerignore'), line: 1 },
    });
    const error = ours('[a');
    expect(await blame(error, both)).toBe(error);
  });

  it.each<[string, unknown]>([
    ['a pattern of a COPY', ours('[elsewhere')],
    ['another failure', new SolveError('SOLVE_FAILED', 'exit code: 1')],
    ['anything else', 'thrown'],
  ])('gives back %s', async (_, error) => {
    expect(await blame(error, { '.dockerignore': '[a' })).toBe(error);
  });

  it('gives back the error when there is no file', async () => {
    expect(await blame(syntaxError, {})).toBe(syntaxError);
  });
});
