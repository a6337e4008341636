import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseQuantity, suggestQuantity } from '../../../src/shared/quantity.ts';

const nanos = 1_000_000_000n;

describe('parseQuantity', () => {
  it.each([
    ['0', 0n],
    ['1', nanos],
    ['+1', nanos],
    ['1.', nanos],
    ['.5', nanos / 2n],
    ['0.1', nanos / 10n],
    ['250m', nanos / 4n],
    ['100u', 100_000n],
    ['1n', 1n],
    ['0.1n', 1n],
    ['1Ki', 1024n * nanos],
    ['1.5Gi', 1_610_612_736n * nanos],
    ['1k', 1000n * nanos],
    ['2M', 2_000_000n * nanos],
    ['12E', 12n * 10n ** 18n * nanos],
    ['12e3', 12_000n * nanos],
    ['12E3', 12_000n * nanos],
    ['12E-3', 12_000_000n],
    ['1e+2', 100n * nanos],
    ['8Ei', 8n * 2n ** 60n * nanos],
    ['00012', 12n * nanos],
  ])('reads %s', (text, expected) => {
    expect(parseQuantity(text)).toBe(expected);
  });

  it.each([
    '',
    ' 1',
    '1 ',
    '1 Gi',
    '12Gb',
    '12GB',
    '12GiB',
    '1K',
    '1ki',
    '1g',
    '-1',
    '.',
    'Gi',
    '1..5',
    '1,5',
    '0x10',
    '1e',
    '1e3Gi',
    '1e1000000000',
    'Infinity',
    'NaN',
    '1_000',
    '١',
  ])('refuses %j', (text) => {
    expect(parseQuantity(text)).toBeUndefined();
  });

  it('agrees with arithmetic for every suffix', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 0, max: 999 }), (a, b) => {
        const fraction = String(b).padStart(3, '0');
        expect(parseQuantity(`${String(a)}.${fraction}`)).toBe(
          parseQuantity(`${String(a)}${fraction}m`),
        );
        expect(parseQuantity(`${String(a)}Mi`)).toBe(BigInt(a) * 2n ** 20n * nanos);
      }),
    );
  });
});

describe('suggestQuantity', () => {
  it.each([
    ['12Gb', '12Gi (powers of 1024) or 12G'],
    ['512m', '512Mi (powers of 1024) or 512M'],
    ['1.5 gb', '1.5Gi (powers of 1024) or 1.5G'],
    ['4K', '4Ki (powers of 1024) or 4k'],
    ['2GiB', '2Gi'],
  ])('makes something of %s', (text, expected) => {
    expect(suggestQuantity(text)).toBe(expected);
  });

  it.each(['much', '', '12', '1e3'])('makes nothing of %j', (text) => {
    expect(suggestQuantity(text)).toBeUndefined();
  });
});
