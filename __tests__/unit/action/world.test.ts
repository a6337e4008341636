import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  gitContextOf,
  isForkPullRequest,
  readGitHubContext,
} from '../../../src/action/github-context.ts';
import { pathKind, readText, readWorld, runnerPlatform } from '../../../src/action/world.ts';

const variables = {
  GITHUB_REPOSITORY: 'acme/app',
  GITHUB_SERVER_URL: 'https://github.example.com/',
  GITHUB_SHA: '0123abc',
  GITHUB_REF: 'refs/heads/main',
  GITHUB_RUN_ID: '42',
  GITHUB_RUN_ATTEMPT: '3',
  GITHUB_WORKSPACE: '/work/app',
  RUNNER_TEMP: '/work/_temp',
};

describe('readGitHubContext', () => {
  it('reads what the runner sets', () => {
    expect(readGitHubContext(variables, '/elsewhere')).toEqual({
      repository: 'acme/app',
      sha: '0123abc',
      ref: 'refs/heads/main',
      runId: '42',
      runAttempt: '3',
      runUrl: 'https://github.example.com/acme/app/actions/runs/42/attempts/3',
      serverUrl: 'https://github.example.com',
      workspace: '/work/app',
      runnerTemp: '/work/_temp',
    });
  });

  it('works outside of GitHub', () => {
    expect(readGitHubContext({ GITHUB_WORKSPACE: '' }, '/here')).toEqual({
      repository: '',
      sha: '',
      ref: '',
      runId: '',
      runAttempt: '1',
      runUrl: '',
      serverUrl: 'https://github.com',
      workspace: '/here',
      runnerTemp: tmpdir(),
    });
  });

  it('pins the Git context to the commit, else to the ref', () => {
    const of = (changes: Record<string, string>) =>
      gitContextOf(readGitHubContext({ ...variables, ...changes }, '/'));
    const repository = 'https://github.example.com/acme/app.git';
    expect(of({})).toBe(`${repository}#0123abc`);
    expect(of({ GITHUB_SHA: '' })).toBe(`${repository}#refs/heads/main`);
    expect(of({ GITHUB_SHA: '', GITHUB_REF: '' })).toBe(repository);
    expect(of({ GITHUB_REPOSITORY: '' })).toBeUndefined();
  });
});

describe('isForkPullRequest', () => {
  const folder = mkdtempSync(join(tmpdir(), 'event-'));
  const path = join(folder, 'event.json');
  const of = (name: string, payload: unknown): boolean => {
    writeFileSync(path, typeof payload === 'string' ? payload : JSON.stringify(payload));
    return isForkPullRequest({ GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: path });
  };
  const pullRequest = (head: unknown) => ({
    pull_request: { head, base: { repo: { full_name: 'acme/app' } } },
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each<[string, string, unknown, boolean]>([
    ['a push', 'push', {}, false],
    ['a branch', 'pull_request', pullRequest({ repo: { full_name: 'acme/app' } }), false],
    ['a fork', 'pull_request', pullRequest({ repo: { full_name: 'me/app' } }), true],
    ['a fork', 'pull_request_target', pullRequest({ repo: { full_name: 'me/app' } }), true],
    ['a deleted fork', 'pull_request', pullRequest({ repo: null }), true],
    ['a payload without the repository', 'pull_request', pullRequest({}), true],
    ['a payload without the pull request', 'pull_request', {}, true],
    ['a broken payload', 'pull_request', '{', true],
    ['a payload of null', 'pull_request', null, true],
  ])('judges %s of %s', (_, name, payload, expected) => {
    expect(of(name, payload)).toBe(expected);
  });

  it('reads no payload of other events', () => {
    expect(isForkPullRequest({ GITHUB_EVENT_NAME: 'push' })).toBe(false);
    expect(isForkPullRequest({})).toBe(false);
    expect(isForkPullRequest({ GITHUB_EVENT_NAME: 'pull_request' })).toBe(true);
  });
});

describe('readWorld', () => {
  it('hands over the facts', () => {
    const env = { A: 'b' };
    const world = readWorld(readGitHubContext(variables, '/'), { env, cwd: '/cwd' });
    expect(world).toMatchObject({
      cwd: '/cwd',
      workspace: '/work/app',
      env: { A: 'b' },
      gitContext: 'https://github.example.com/acme/app.git#0123abc',
      runnerPlatform: { os: 'linux' },
      runnerTemp: '/work/_temp',
    });
    expect(world.isForkPullRequest()).toBe(false);
    expect(world.readText(join('/cwd', 'nothing'))).toBeUndefined();
    expect(readText(import.meta.filename)).toContain('readText(import.meta.filename)');
  });

  it.each([
    ['x64', 'amd64', ''],
    ['arm64', 'arm64', ''],
    ['arm', 'arm', 'v7'],
    ['ia32', '386', ''],
    ['s390x', 's390x', ''],
    ['riscv64', 'riscv64', ''],
  ])('names the architecture %s as Go does', (node, architecture, variant) => {
    expect(runnerPlatform(node)).toEqual({ os: 'linux', architecture, variant });
  });
});

describe('pathKind', () => {
  const folder = mkdtempSync(join(tmpdir(), 'path-kind-'));
  let server: Server;

  beforeAll(async () => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'sub'));
    symlinkSync('file', join(folder, 'to-file'));
    symlinkSync('sub', join(folder, 'to-sub'));
    symlinkSync('nowhere', join(folder, 'to-nothing'));
    symlinkSync('loop', join(folder, 'loop'));
    server = createServer().listen(join(folder, 'socket'));
    await once(server, 'listening');
  });

  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['file', 'file'],
    ['sub', 'directory'],
    ['to-file', 'file'],
    ['to-sub', 'directory'],
    ['to-nothing', 'missing'],
    ['nothing', 'missing'],
    ['file/below', 'missing'],
    ['socket', 'other'],
    ['loop', 'unreadable'],
    ['a'.repeat(300), 'unreadable'],
    ['nul\0', 'unreadable'],
  ])('%s is %s', (name, kind) => {
    expect(pathKind(join(folder, name))).toBe(kind);
  });
});
