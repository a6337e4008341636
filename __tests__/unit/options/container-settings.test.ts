import { describe, expect, it } from '@jest/globals';

import {
  parseAddHost,
  parseNetwork,
  parseShmSize,
  parseUlimit,
} from '../../../src/options/container-settings.ts';
import { inputErrorOf } from './parse-inputs.ts';

describe('parseAddHost', () => {
  it.each([
    ['db=10.0.0.7', 'db=10.0.0.7'],
    ['db:10.0.0.7', 'db=10.0.0.7'],
    ['db=fd00::7', 'db=fd00::7'],
    ['db:fd00::7', 'db=fd00::7'],
    ['db=[fd00::7]', 'db=fd00::7'],
    ['db:[::1]', 'db=::1'],
    ['db=[10.0.0.7]', 'db=10.0.0.7'],
    ['db.example.com=::ffff:10.0.0.1', 'db.example.com=::ffff:10.0.0.1'],
  ])('reads %s', (text, expected) => {
    expect(parseAddHost(text)).toBe(expected);
  });

  it.each([
    'db',
    'db=',
    '=10.0.0.7',
    ':10.0.0.7',
    'db=10.0.0',
    'db=10.0.0.256',
    'db=[]',
    'db=[fd00::7',
    'db=fe80::1%eth0',
    'a:b=10.0.0.1',
    'db=example.com',
    '10.0.0.2',
  ])('refuses %s', (text) => {
    expect(inputErrorOf(() => parseAddHost(text)).message).toContain(`\`${text}\``);
  });

  it('has no host gateway', () => {
    const error = inputErrorOf(() => parseAddHost('db:host-gateway'));
    expect(error.code).toBe('INPUT_UNSUPPORTED');
    expect(error.message).toContain('host gateway');
  });
});

describe('parseShmSize', () => {
  it.each([
    ['64m', 64 * 1024 ** 2],
    ['64M', 64 * 1024 ** 2],
    ['2g', 2 * 1024 ** 3],
    ['2gb', 2 * 1024 ** 3],
    ['2GiB', 2 * 1024 ** 3],
    ['1.5k', 1536],
    ['1 MB', 1024 ** 2],
    ['1024', 1024],
    ['1024b', 1024],
    ['1.9', 1],
    ['.5k', 512],
    ['1t', 1024 ** 4],
    ['0', undefined],
    ['0m', undefined],
  ])('reads %s', (text, expected) => {
    expect(parseShmSize(text)).toBe(expected);
  });

  it.each(['', 'm', '-1', '1x', '1kk', '1ibs', '1bb', '1  m', '1m ', '1e3', '12Q', '999999999p'])(
    'refuses %j',
    (text) => {
      expect(inputErrorOf(() => parseShmSize(text)).message).toContain('shm-size');
    },
  );
});

describe('parseUlimit', () => {
  it.each([
    ['nofile=1024', 'nofile', '1024:1024'],
    ['nofile=1024:4096', 'nofile', '1024:4096'],
    ['core=-1', 'core', '-1:-1'],
    ['core=0:-1', 'core', '0:-1'],
    ['memlock=9223372036854775807', 'memlock', '9223372036854775807:9223372036854775807'],
  ])('reads %s', (text, name, limits) => {
    expect(parseUlimit(text)).toEqual([name, limits]);
  });

  it.each([
    ['nofile', 'is not a limit'],
    ['nofile=', 'is not a limit'],
    ['nofile=a', 'is not a limit'],
    ['nofile=1:2:3', 'is not a limit'],
    ['nofile=1.5', 'is not a limit'],
    ['as=1', 'unknown name'],
    ['=1', 'unknown name'],
    ['nofile=2:1', 'soft limit above'],
    ['nofile=-1:5', 'soft limit above'],
    ['nofile=99999999999999999999', '64 bits'],
  ])('refuses %s', (text, problem) => {
    const { message } = inputErrorOf(() => parseUlimit(text));
    expect(message).toContain(`\`${text}\``);
    expect(message).toContain(problem);
  });

  it('names the nearest limit', () => {
    expect(inputErrorOf(() => parseUlimit('nofiles=1')).hint).toBe('Did you mean `nofile`?');
  });
});

describe('parseNetwork', () => {
  it.each([
    ['', 'default'],
    ['default', 'default'],
    ['host', 'host'],
    ['none', 'none'],
  ])('reads %j', (text, expected) => {
    expect(parseNetwork(text)).toBe(expected);
  });

  it.each(['bridge', 'Host', 'container:x'])('refuses %s', (text) => {
    expect(inputErrorOf(() => parseNetwork(text)).message).toContain('default, host or none');
  });
});
