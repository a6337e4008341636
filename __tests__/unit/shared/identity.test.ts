import { describe, expect, it } from '@jest/globals';
import { randomIdentity } from '../../../src/shared/identity.ts';

describe('randomIdentity', () => {
  it('is always 25 characters of base 36 and never the same', () => {
    const identities = Array.from({ length: 500 }, randomIdentity);
    expect(identities.filter((identity) => !/^[0-9a-z]{25}$/.test(identity))).toEqual([]);
    expect(new Set(identities).size).toBe(identities.length);
  });

  it('varies in its first character', () => {
    const firsts = new Set(Array.from({ length: 500 }, () => randomIdentity()[0]));
    expect(firsts.size).toBeGreaterThan(20);
  });
});
