import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeGrpcMessage, encodeGrpcMessage } from '../../../src/shared/grpc-message.ts';

describe('encodeGrpcMessage', () => {
  it.each([
    ['plain: text, "quoted"!', 'plain: text, "quoted"!'],
    ['café 100%\n', 'caf%C3%A9 100%25%0A'],
    ['\ud800', '%EF%BF%BD'],
  ])('writes %j as %s', (message, expected) => {
    expect(encodeGrpcMessage(message)).toBe(expected);
  });
});

describe('decodeGrpcMessage', () => {
  it('undoes what we and what others write', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeGrpcMessage(encodeGrpcMessage(text))).toBe(text);
        expect(decodeGrpcMessage(encodeURIComponent(text))).toBe(text);
      }),
    );
  });

  it('keeps what is no escape, and replaces what is no UTF-8', () => {
    expect(decodeGrpcMessage('50% of %4')).toBe('50% of %4');
    expect(decodeGrpcMessage('%FFx')).toBe('\ufffdx');
  });
});
