import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  frameHeader,
  GrpcFrameParser,
  GrpcFramingError,
} from '../../../src/shared/grpc-framing.ts';

function drain(parser: GrpcFrameParser): Buffer[] {
  const messages: Buffer[] = [];
  for (let message = parser.next(); message !== undefined; message = parser.next()) {
    messages.push(message);
  }
  return messages;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GrpcFramingError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('frameHeader', () => {
  it('is an uncompressed flag and a big-endian length', () => {
    expect(frameHeader(0x01020304).toString('hex')).toBe('0001020304');
    expect(frameHeader(0).toString('hex')).toBe('0000000000');
  });
});

describe('GrpcFrameParser', () => {
  const bytes = Buffer.from('0000000003616263' + '0000000000' + '000000000178', 'hex');
  const texts = ['abc', '', 'x'];

  it('cuts several messages out of one chunk without copying', () => {
    const parser = new GrpcFrameParser();
    parser.push(bytes);
    const messages = drain(parser);
    expect(messages.map(String)).toEqual(texts);
    expect(messages[0]?.buffer).toBe(bytes.buffer);
    parser.finish();
  });

  it('gathers messages that come byte by byte', () => {
    const parser = new GrpcFrameParser();
    const messages = [...bytes].flatMap((byte) => {
      parser.push(Buffer.of(byte));
      return drain(parser);
    });
    expect(messages.map(String)).toEqual(texts);
    parser.finish();
  });

  it('gives the same messages for every way of cutting the stream', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
    const cuts = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 });
    fc.assert(
      fc.property(payloads, cuts, (messages, sizes) => {
        const stream = Buffer.concat(
          messages.flatMap((message) => [Buffer.of(0, 0, 0, 0, message.length), message]),
        );
        const parser = new GrpcFrameParser();
        const seen: Buffer[] = [];
        for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length]!;
          parser.push(stream.subarray(offset, offset + size));
          offset += size;
          seen.push(...drain(parser));
        }
        parser.finish();
        expect(seen.map((message) => message.toString('hex'))).toEqual(
          messages.map((message) => Buffer.from(message).toString('hex')),
        );
      }),
    );
  });

  it('stays linear over many queued chunks', () => {
    const parser = new GrpcFrameParser();
    const count = 5000;
    for (let index = 0; index < count; index += 1) {
      parser.push(Buffer.from('000000', 'hex'));
      parser.push(Buffer.from('000141', 'hex'));
    }
    const messages = drain(parser);
    expect(messages).toHaveLength(count);
    expect(new Set(messages.map(String))).toEqual(new Set(['A']));
    parser.finish();
  });

  it('refuses a compressed message', () => {
    const parser = new GrpcFrameParser();
    parser.push(Buffer.from('010000000161', 'hex'));
    expect(codeOf(() => parser.next())).toBe('GRPC_MESSAGE_COMPRESSED');
  });

  it('refuses a message above the limit once its header is there', () => {
    const parser = new GrpcFrameParser();
    parser.push(Buffer.from('0001000001', 'hex'));
    expect(codeOf(() => parser.next())).toBe('GRPC_MESSAGE_TOO_LARGE');
  });

  it('takes a message of exactly the limit', () => {
    const parser = new GrpcFrameParser(4);
    parser.push(Buffer.from('000000000461626364', 'hex'));
    expect(String(parser.next())).toBe('abcd');
  });

  it.each([
    ['inside a header', '000000'],
    ['after a header', '0000000001'],
    ['inside a message', '00000000026a'],
  ])('reports a stream that ends %s', (_where, hex) => {
    const parser = new GrpcFrameParser();
    parser.push(Buffer.from(hex, 'hex'));
    expect(parser.next()).toBeUndefined();
    expect(
      codeOf(() => {
        parser.finish();
      }),
    ).toBe('GRPC_MESSAGE_TRUNCATED');
  });
});
