import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HeaderFrameJoiner } from '../../../src/session/header-frames.ts';
import { http2Frame } from '../../fakes/fake-session-daemon.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const frame = (type: number, flags: number, streamId: number, payload: string): Buffer =>
  http2Frame(type, flags, streamId, Buffer.from(payload));

const settings = frame(4, 0, 0, '');
const data = frame(0, 1, 1, 'some data');

function pass(joiner: HeaderFrameJoiner, bytes: Buffer): Buffer {
  return Buffer.concat(joiner.push(bytes));
}

describe('HeaderFrameJoiner', () => {
  it('passes what has no header block in several frames, uncopied', () => {
    const joiner = new HeaderFrameJoiner();
    const stream = Buffer.concat([preface, settings, frame(1, 4, 1, 'whole'), data]);
    const out = joiner.push(stream);
    expect(Buffer.concat(out).equals(stream)).toBe(true);
    expect(out.every((piece) => piece.buffer === stream.buffer)).toBe(true);
  });

  it('joins a block and keeps its flags and stream', () => {
    const joiner = new HeaderFrameJoiner();
    const stream = [
      preface,
      frame(1, 1, 7, 'first '),
      frame(9, 0, 7, 'second '),
      frame(9, 0, 7, ''),
      frame(9, 4, 7, 'third'),
      data,
    ];
    expect(pass(joiner, Buffer.concat(stream))).toEqual(
      Buffer.concat([preface, frame(1, 5, 7, 'first second third'), data]),
    );
  });

  it('holds back a block until it is whole', () => {
    const joiner = new HeaderFrameJoiner();
    expect(pass(joiner, Buffer.concat([preface, frame(1, 0, 1, 'a')]))).toEqual(preface);
    expect(pass(joiner, frame(9, 0, 1, 'b'))).toHaveLength(0);
    expect(pass(joiner, frame(9, 4, 1, 'c'))).toEqual(frame(1, 4, 1, 'abc'));
  });

  it('leaves a padded block to the HTTP/2 of Node', () => {
    const joiner = new HeaderFrameJoiner();
    const stream = Buffer.concat([preface, frame(1, 8, 1, '\u0001ab '), frame(9, 4, 1, 'c'), data]);
    expect(pass(joiner, stream).equals(stream)).toBe(true);
  });

  it('gives the same for every way of cutting the stream', () => {
    const block = fc
      .array(fc.string({ maxLength: 20, unit: 'grapheme-ascii' }), { minLength: 1, maxLength: 5 })
      .map((parts) => ({
        sent: parts.map((part, index) =>
          frame(index === 0 ? 1 : 9, index === parts.length - 1 ? 4 : 0, 3, part),
        ),
        joined: frame(1, 4, 3, parts.join('')),
      }));
    const other = fc
      .string({ maxLength: 30, unit: 'grapheme-ascii' })
      .map((text) => ({ sent: [frame(0, 0, 3, text)], joined: frame(0, 0, 3, text) }));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(block, other)),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (parts, sizes) => {
          const joiner = new HeaderFrameJoiner();
          const stream = Buffer.concat([preface, ...parts.flatMap((part) => part.sent)]);
          const out: Buffer[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const size = sizes[turn % sizes.length]!;
            out.push(...joiner.push(stream.subarray(at, at + size)));
            at += size;
          }
          expect(Buffer.concat(out).toString('hex')).toBe(
            Buffer.concat([preface, ...parts.map((part) => part.joined)]).toString('hex'),
          );
        },
      ),
    );
  });
});
