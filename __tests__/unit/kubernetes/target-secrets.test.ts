import { describe, expect, it } from '@jest/globals';
import type { ApiTarget } from '../../../src/kubernetes/api-target.ts';
import { maskingTargets, secretsOfTarget } from '../../../src/kubernetes/target-secrets.ts';

const never = new AbortController().signal;
const target = (more: Partial<ApiTarget>): ApiTarget => ({
  server: new URL('https://k8s.example'),
  tls: {},
  headers: {},
  ...more,
});
const keyLines = [
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0',
  'wawIBAQQgVcB/UNPxalR9zDYAjQIfjojUDiQu',
  'Q==',
];
const pem = ['-----BEGIN PRIVATE KEY-----', ...keyLines, '-----END PRIVATE KEY-----', ''];

describe('secretsOfTarget', () => {
  it('has the token without its scheme', () => {
    const headers = { Authorization: 'Bearer s3cr3t.t0ken', 'Impersonate-User': 'someone' };
    expect(secretsOfTarget(target({ headers }))).toEqual(['s3cr3t.t0ken']);
  });

  it('has the password, also one with colons, and the header that carries it', () => {
    const header = Buffer.from('user:p:ä').toString('base64');
    expect(secretsOfTarget(target({ headers: { Authorization: `Basic ${header}` } }))).toEqual([
      header,
      'p:ä',
    ]);
  });

  it.each(['\n', '\r\n'])('has each line of a key, and its base64 in a kubeconfig (%j)', (end) => {
    const key = Buffer.from(pem.join(end));
    expect(secretsOfTarget(target({ tls: { key, cert: 'public' } }))).toEqual([
      ...keyLines.slice(0, 2),
      key.toString('base64'),
    ]);
  });

  it('has the password of the proxy as it is written and as it is meant', () => {
    const proxy = new URL('http://me:p%40ss@proxy:3128');
    expect(secretsOfTarget(target({ proxy }))).toEqual(['p%40ss', 'p@ss']);
  });

  it('has a password that only looks encoded', () => {
    const proxy = new URL('http://me:50%@proxy:3128');
    expect(secretsOfTarget(target({ proxy }))).toEqual(['50%']);
  });

  it('has nothing where there is nothing', () => {
    expect(secretsOfTarget(target({ proxy: new URL('http://proxy:3128') }))).toEqual([]);
  });
});

describe('maskingTargets', () => {
  it('masks a rotated token too, and none twice', async () => {
    const tokens = ['one', 'one', 'two'];
    const masked: string[] = [];
    const resolve = maskingTargets(
      () =>
        Promise.resolve(target({ headers: { Authorization: `Bearer ${tokens.shift() ?? ''}` } })),
      (secret) => masked.push(secret),
    );
    await resolve(never);
    await resolve(never);
    expect(masked).toEqual(['one']);
    await resolve(never);
    expect(masked).toEqual(['one', 'two']);
  });
});
