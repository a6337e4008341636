import { describe, expect, it } from '@jest/globals';
import {
  builderName,
  platformSuffix,
  platformText,
  specHash,
} from '../../../src/kubernetes/names.ts';

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

describe('builderName', () => {
  it.each([
    ['acme/webapp', 'kbx-acme-webapp-jobjob12-0a1b2c3d'],
    ['Acme.Corp/Web_App', 'kbx-acme-corp-web-app-jobjob12-0a1b2c3d'],
    // Too long as a whole: the repository says more than its owner.
    ['a-very-long-organisation/web', 'kbx-web-jobjob12-0a1b2c3d'],
    // Cut behind the 23rd character, which is a dash.
    ['o/abcdefghijklmnopqrstuv--yz', 'kbx-abcdefghijklmnopqrstuv-jobjob12-0a1b2c3d'],
    ['', 'kbx-jobjob12-0a1b2c3d'],
    ['日本/語', 'kbx-jobjob12-0a1b2c3d'],
  ])('of %j is %s', (repository, expected) => {
    expect(builderName({ repository, jobId: 'jobjob12', specHash: '0a1b2c3d' })).toBe(expected);
  });

  it.each([
    { os: 'linux', architecture: 'mips64p32le', variant: '' },
    { os: 'linux', architecture: 'arm64', variant: 'v10.1' },
  ])('stays a DNS label with the longest suffix, that of %j', (platform) => {
    const name = builderName({
      repository: `${'o'.repeat(39)}/${'r'.repeat(100)}`,
      jobId: 'j'.repeat(10),
      specHash: specHash({}),
    });
    expect(name).toHaveLength(45);
    expect(`${name}-${platformSuffix(platform)}`).toMatch(dnsLabel);
  });

  it('does not let a foreign job id break the label', () => {
    const name = builderName({ repository: 'a/b', jobId: 'X_y/../Z', specHash: 'ff' });
    expect(name).toMatch(dnsLabel);
  });
});

describe('specHash', () => {
  it('does not depend on the order of keys, at any depth', () => {
    expect(specHash({ a: 1, b: { c: [1, 2], d: 'x' } })).toBe(
      specHash({ b: { d: 'x', c: [1, 2] }, a: 1 }),
    );
  });

  it('depends on the order of lists and on every value', () => {
    const base = specHash({ files: ['a', 'b'], limits: {} });
    expect(specHash({ files: ['b', 'a'], limits: {} })).not.toBe(base);
    expect(specHash({ files: ['a', 'b'], limits: { cpu: '1' } })).not.toBe(base);
  });
});

describe('a platform', () => {
  it.each([
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux/arm/v7', 'linux-arm-v7'],
    [
      { os: 'linux', architecture: 'arm64', variant: 'v8.1' },
      'linux/arm64/v8.1',
      'linux-arm64-v8-1',
    ],
    [{ os: 'linux', architecture: 'amd64', variant: '' }, 'linux/amd64', 'linux-amd64'],
  ])('%j is %s, and %s in names', (platform, text, suffix) => {
    expect([platformText(platform), platformSuffix(platform)]).toEqual([text, suffix]);
  });
});
