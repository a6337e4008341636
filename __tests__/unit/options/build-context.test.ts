import { describe, expect, it } from '@jest/globals';

import { findBuildContext, type BuildContext } from '../../../src/options/build-context.ts';
import { Problems } from '../../../src/options/problems.ts';
import type { PathKind, World } from '../../../src/options/world.ts';
import { inputErrorOf, world } from './parse-inputs.ts';

const checkout: Readonly<Record<string, PathKind>> = {
  '/work/app': 'directory',
  '/work/app/Dockerfile': 'file',
  '/work/app/api': 'directory',
  '/work/app/api/Dockerfile': 'file',
  '/work/app/web': 'directory',
  '/work/app/web/dockerfile': 'file',
  '/work/app/both': 'directory',
  '/work/app/both/Dockerfile': 'file',
  '/work/app/both/dockerfile': 'file',
  '/work/app/docker/prod.Dockerfile': 'file',
  '/work/app/rego': 'directory',
  '/work/app/rego/Dockerfile': 'file',
  '/work/app/rego/Dockerfile.rego': 'file',
  '/work/app/tool': 'directory',
  '/work/app/tool/Dockerfile': 'directory',
  '/work/app/secret': 'unreadable',
  '/work/app/pipe': 'other',
  '/work/app/github.com/acme/app': 'directory',
  '/work/app/github.com/acme/app/Dockerfile': 'file',
  '/etc/Dockerfile': 'file',
};
const there = world({}, checkout);

function find(context: string, file = '', facts: World = there): BuildContext {
  const problems = new Problems();
  const found = findBuildContext({ context, file }, { world: facts, problems });
  problems.throwIfAny();
  return found;
}

const errorOf = (context: string, file = '', facts: World = there) =>
  inputErrorOf(() => find(context, file, facts));

describe('findBuildContext', () => {
  it.each([
    ['', '', '/work/app', '/work/app/Dockerfile'],
    ['', 'docker/prod.Dockerfile', '/work/app', '/work/app/docker/prod.Dockerfile'],
    ['.', '', '/work/app', '/work/app/Dockerfile'],
    ['./api/', '', '/work/app/api', '/work/app/api/Dockerfile'],
    ['api', 'Dockerfile', '/work/app/api', '/work/app/Dockerfile'],
    ['/work/app/api', './api/../Dockerfile', '/work/app/api', '/work/app/Dockerfile'],
    ['api', '/etc/Dockerfile', '/work/app/api', '/etc/Dockerfile'],
    ['web', '', '/work/app/web', '/work/app/web/dockerfile'],
    ['web', 'web/Dockerfile', '/work/app/web', '/work/app/web/dockerfile'],
    ['both', '', '/work/app/both', '/work/app/both/Dockerfile'],
    [
      'github.com/acme/app',
      '',
      '/work/app/github.com/acme/app',
      '/work/app/github.com/acme/app/Dockerfile',
    ],
  ])('takes %j with file %j', (context, file, contextPath, dockerfilePath) => {
    expect(find(context, file)).toMatchObject({ contextPath, dockerfilePath });
  });

  it('starts relative paths at the working directory, and the default at the workspace', () => {
    const inside = world({ cwd: '/work/app/api' }, checkout);
    expect(find('.', '', inside).contextPath).toBe('/work/app/api');
    expect(find('..', 'Dockerfile', inside)).toMatchObject({
      contextPath: '/work/app',
      dockerfilePath: '/work/app/api/Dockerfile',
    });
    expect(find('', '', inside)).toMatchObject({
      contextPath: '/work/app',
      dockerfilePath: '/work/app/Dockerfile',
    });
  });

  it('says which context it took and why', () => {
    expect(find('').reason).toMatch(/workspace \/work\/app, because it has .*Dockerfile/);
    expect(find('api').reason).toMatch(/\/work\/app\/api, as the input `context` says/);
  });

  it.each([
    ['no-such-folder', /`no-such-folder` is no folder: \/work\/app\/no-such-folder does not exist/],
    ['Dockerfile', /\/work\/app\/Dockerfile is a file/],
    ['pipe', /neither a file nor a folder/],
    ['secret', /cannot be read/],
  ])('names the context %s that is no folder', (context, message) => {
    expect(errorOf(context)).toMatchObject({
      code: 'CONTEXT_MISSING',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['docker', 'docker/Dockerfile', '/work/app/docker/Dockerfile does not exist'],
    ['api', 'prod.Dockerfile', '/work/app/prod.Dockerfile does not exist'],
    ['tool', '', '/work/app/tool/Dockerfile is a folder'],
  ])('names the Dockerfile of %s that is not there', (_, file, message) => {
    const context = file === '' ? 'tool' : 'api';
    expect(errorOf(context, file)).toMatchObject({
      code: 'DOCKERFILE_MISSING',
      message: expect.stringContaining(message),
    });
  });

  it('tells the Git context that would be taken without a Dockerfile in the workspace', () => {
    const error = errorOf('', '', world({}, { '/work/app': 'directory' }));
    expect(error.code).toBe('DOCKERFILE_MISSING');
    expect(error.message).toContain('/work/app/Dockerfile does not exist');
    expect(error.message).toContain('https://github.com/acme/app.git#0123abc');
    expect(error.message).toContain('not supported yet');
    expect(error.hint).toContain('Check the repository out');
  });

  it.each([
    'https://github.com/acme/app.git#main',
    'http://example.com/context.tar.gz',
    'git://example.com/app',
    'ssh://git@example.com/app',
    'git@github.com:acme/app.git',
    'github.com/acme/other',
    '{{defaultContext}}:api',
    '-',
  ])('does not support %s yet', (context) => {
    expect(errorOf(context)).toMatchObject({
      code: 'INPUT_UNSUPPORTED',
      message: expect.stringContaining('not supported yet'),
    });
  });

  it('shows no credentials of a URL', () => {
    expect(errorOf('https://me:hunter2@example.com/app.git').message).not.toContain('hunter2');
  });

  it.each(['-', 'https://example.com/Dockerfile'])('does not support file %s yet', (file) => {
    expect(errorOf('.', file).code).toBe('INPUT_UNSUPPORTED');
  });

  it('does not ignore a source policy next to the Dockerfile', () => {
    expect(errorOf('rego')).toMatchObject({
      code: 'INPUT_UNSUPPORTED',
      message: expect.stringContaining('/work/app/rego/Dockerfile.rego'),
    });
  });

  it('reports a missing context and a missing Dockerfile together', () => {
    expect(errorOf('nowhere', 'no.Dockerfile').problems.map(({ code }) => code)).toEqual([
      'CONTEXT_MISSING',
      'DOCKERFILE_MISSING',
    ]);
    expect(errorOf('nowhere').problems).toHaveLength(1);
  });
});
