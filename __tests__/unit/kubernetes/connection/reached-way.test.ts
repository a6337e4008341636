import { describe, expect, it } from '@jest/globals';

import {
  decodeReachedWay,
  encodeReachedWay,
  type ReachedWay,
} from '../../../../src/kubernetes/connection/reached-way.ts';

const ways: readonly (readonly [text: string, reached: ReachedWay])[] = [
  ['p/exec', { way: 'exec', pod: 'p' }],
  ['p/port-forward/w-tls', { way: 'port-forward', pod: 'p', secret: 'w-tls' }],
  ['p/direct/w-tls/10.0.0.1', { way: 'direct', pod: 'p', secret: 'w-tls', address: '10.0.0.1' }],
  ['p/direct/w-tls/fd00::1', { way: 'direct', pod: 'p', secret: 'w-tls', address: 'fd00::1' }],
];

describe('a way that was reached', () => {
  it.each(ways)('is written as %s and read again', (text, reached) => {
    expect(encodeReachedWay(reached)).toBe(text);
    expect(decodeReachedWay(text)).toEqual(reached);
  });

  it.each([
    'p',
    'p/direct',
    'p/direct/w-tls',
    'p/direct//10.0.0.1',
    'p/port-forward',
    'p/tunnel/x',
  ])('is an exec when it reads %s', (text) => {
    expect(decodeReachedWay(text)).toEqual({ way: 'exec', pod: 'p' });
  });
});
