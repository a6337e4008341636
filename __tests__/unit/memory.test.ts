import { cachedDataVersionTag } from 'node:v8';

import { describe, expect, it } from '@jest/globals';

import { keepYoungSpaceSmall } from '../../src/memory.ts';

describe('keepYoungSpaceSmall', () => {
  it('leaves V8 with the flags that compiled code was kept under', () => {
    const before = cachedDataVersionTag();
    const small = keepYoungSpaceSmall();
    expect(cachedDataVersionTag()).not.toBe(before);
    small[Symbol.dispose]();
    expect(cachedDataVersionTag()).toBe(before);
  });
});
