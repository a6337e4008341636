import { describe, expect, it } from '@jest/globals';
import { defaultAffinityKey } from '../../src/affinity-key.ts';

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
