import { describe, expect, it } from '@jest/globals';

import { formatPlatform, parsePlatform } from '../../../src/options/platforms.ts';
import { inputErrorOf } from './parse-inputs.ts';

const amd64 = { os: 'linux', architecture: 'amd64', variant: '' };
const parse = (text: string): string => formatPlatform(parsePlatform('platforms', text, amd64));

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/x86-64/v3', 'linux/amd64/v3'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v2', 'linux/amd64/v2'],
    ['linux/arm64', 'linux/arm64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm64/v8.0', 'linux/arm64'],
    ['linux/arm64/9', 'linux/arm64/v9'],
    ['linux/arm64/v8.1', 'linux/arm64/v8.1'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/i386', 'linux/386'],
    ['linux/s390x', 'linux/s390x'],
    ['macos/arm64', 'darwin/arm64'],
    ['arm64', 'linux/arm64'],
    ['linux', 'linux/amd64'],
    ['local', 'linux/amd64'],
    ['LOCAL', 'linux/amd64'],
  ])('reads %s as %s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it.each([
    ['linux/amd65', /unknown architecture `amd65`/, 'Did you mean `amd64`?'],
    ['linus/amd64', /unknown operating system `linus`/, 'Did you mean `linux`?'],
    ['constructor', /unknown architecture/, undefined],
    ['linux/', /is not a platform/, undefined],
    ['/amd64', /is not a platform/, undefined],
    ['linux/arm/v7/x', /is not a platform/, undefined],
    ['linux/*', /is not a platform/, undefined],
    ['linux/am d64', /is not a platform/, undefined],
    ['linux/arm/v7_1', /is not a platform/, undefined],
    ['linux/arm/constructor', /is not a platform/, undefined],
    ['linux/amd64/v100', /is not a platform/, undefined],
    ['linux/arm64/v8.', /is not a platform/, undefined],
  ])('refuses %s', (text, message, hint) => {
    const error = inputErrorOf(() => parse(text));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`\`${text}\``);
    expect(error.hint).toBe(hint);
  });
});
