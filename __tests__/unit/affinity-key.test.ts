import { describe, expect, it } from '@jest/globals';
import { buildxAffinityKey, defaultAffinityKey } from '../../src/affinity-key.ts';

describe('defaultAffinityKey', () => {
  it.each([
    ['/work/app', 'acme/app'],
    ['/work/app/services/web', 'acme/app/services/web'],
    ['/work/other', 'acme/app/../other'],
  ])('of context %s is %s', (contextPath, expected) => {
    const github = { repository: 'acme/app', workspace: '/work/app' };
    expect(defaultAffinityKey(github, contextPath)).toBe(expected);
  });
});

describe('buildxAffinityKey', () => {
  const folder = '/home/runner/work/app/app';

  it.each([
    ['', folder],
    ['.', folder],
    ['./services/api/', `${folder}/services/api`],
    ['/srv/../src', '/src'],
    [
      'https://github.com/acme/app.git#refs/heads/main',
      `${folder}/https:/github.com/acme/app.git#refs/heads/main`,
    ],
    [
      'https://github.com/acme/app.git#refs/heads/main:sub/../x',
      `${folder}/https:/github.com/acme/app.git#refs/heads/x`,
    ],
    ['-', `${folder}/-`],
  ])('of context "%s" is %s', (context, expected) => {
    expect(buildxAffinityKey(folder, context)).toBe(expected);
  });
});
