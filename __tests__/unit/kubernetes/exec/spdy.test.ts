import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { FramingError, type ExecEvent } from '../../../../src/kubernetes/exec/exec-codec.ts';
import { SpdyExec } from '../../../../src/kubernetes/exec/spdy-exec.ts';
import { type SpdyFrame, SpdyFrameReader } from '../../../../src/kubernetes/exec/spdy-frames.ts';

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

const reply = (id: number): string => `80030002 0000000c 0000000${id} 026100000000ffff`;
const replies = bytes([1, 3, 5, 7].map(reply).join(''));

/** One of every kind of frame that a server may send, then data. */
const everything = bytes(`
  ${reply(1)}
  80030004 00000014 00000002 04000000 00000064 07000000 00010000
  80030009 00000008 00000005 00100000
  80030008 00000006 00000005 aabb
  80030006 00000004 00000002
  80030003 00000008 00000003 00000005
  00000005 00000003 616263
  00000007 01000000
  80030007 00000008 00000007 00000000
  80030001 0000000c 00000002 00000000 00000000
  8003000a 00000000
  00000001 01000001 7b`);

function cut(input: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at)].filter((place) => place < input.length).sort((a, b) => a - b);
  return [0, ...places].map((start, index) => input.subarray(start, places[index]));
}

/** Frames with the pieces of data joined again. */
function readFrames(chunks: readonly Buffer[]): SpdyFrame[] {
  const reader = new SpdyFrameReader();
  const joined: SpdyFrame[] = [];
  for (const frame of chunks.flatMap((chunk) => reader.read(chunk))) {
    const last = joined.at(-1);
    if (last?.kind === 'data' && frame.kind === 'data' && !last.whole) {
      joined[joined.length - 1] = { ...frame, data: Buffer.concat([last.data, frame.data]) };
    } else {
      joined.push(frame);
    }
  }
  return joined;
}

const expected: SpdyFrame[] = [
  { kind: 'reply', streamId: 1, fin: false },
  { kind: 'ping', id: 2 },
  { kind: 'reset', streamId: 3, statusCode: 5 },
  { kind: 'data', streamId: 5, data: Buffer.from('abc'), whole: true, fin: false },
  { kind: 'data', streamId: 7, data: Buffer.alloc(0), whole: true, fin: true },
  { kind: 'goaway', statusCode: 0 },
  { kind: 'data', streamId: 1, data: Buffer.from('{'), whole: true, fin: true },
];

describe('SpdyFrameReader', () => {
  it('reads what matters and skips the rest, one byte at a time', () => {
    expect(readFrames([...everything].map((byte) => Buffer.of(byte)))).toEqual(expected);
  });

  it('reads the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: everything.length })), (at) => {
        expect(readFrames(cut(everything, at))).toEqual(expected);
      }),
    );
  });

  it('hands on slices, and knows the whole only at the end', () => {
    const reader = new SpdyFrameReader();
    const chunk = bytes('00000005 01000004 0102');
    const [first] = reader.read(chunk);
    expect(first).toMatchObject({ data: bytes('0102'), whole: false, fin: false });
    expect((first as { data: Buffer }).data.buffer).toBe(chunk.buffer);
    expect(reader.read(bytes('0304'))).toEqual([
      { kind: 'data', streamId: 5, data: bytes('0304'), whole: true, fin: true },
    ]);
  });

  it('reads frames as large as the format has them', () => {
    const reader = new SpdyFrameReader();
    reader.read(bytes('00000005 00ffffff'));
    const half = Buffer.alloc(0x7fffff);
    expect(reader.read(half)).toMatchObject([{ whole: false }]);
    expect(reader.read(Buffer.alloc(0x800000))).toMatchObject([{ whole: true }]);
    expect(reader.read(bytes('80030006 00000004 00000004'))).toEqual([{ kind: 'ping', id: 4 }]);
  });

  it('bears control frames that are shorter than their fields', () => {
    expect(readFrames([bytes('80030007 00000000 80030003 00000004 00000005')])).toEqual([
      { kind: 'goaway', statusCode: 0 },
      { kind: 'reset', streamId: 5, statusCode: 0 },
    ]);
  });

  it('refuses what is not SPDY/3.1', () => {
    expect(() => new SpdyFrameReader().read(bytes('80020001 00000000'))).toThrow(FramingError);
  });
});

describe('SpdyExec', () => {
  const opened = (): SpdyExec => {
    const exec = new SpdyExec();
    exec.opening();
    exec.receive(replies);
    return exec;
  };

  it('opens four streams with stored and flushed headers', () => {
    expect(new SpdyExec().opening().map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
      [
        `80030001 00000035 00000001 00000000 0000 78bbe3c6a7c2 00 1b00 e4ff
         00000001 0000000a 73747265616d74797065 00000005 6572726f72 000000ffff`,
        `80030001 0000002f 00000003 00000000 0000 00 1b00 e4ff
         00000001 0000000a 73747265616d74797065 00000005 737464696e 000000ffff`,
        `80030001 00000030 00000005 00000000 0000 00 1c00 e3ff
         00000001 0000000a 73747265616d74797065 00000006 7374646f7574 000000ffff`,
        `80030001 00000030 00000007 00000000 0000 00 1c00 e3ff
         00000001 0000000a 73747265616d74797065 00000006 737464657272 000000ffff`,
      ].map((hex) => bytes(hex).toString('hex')),
    );
  });

  it('is open with the last reply, in whatever order they come', () => {
    const exec = new SpdyExec();
    for (const id of [7, 1, 3]) expect(exec.receive(bytes(reply(id)))).toEqual([]);
    expect(exec.receive(bytes(reply(5)))).toEqual([{ kind: 'opened' }]);
  });

  it('is open with the first output', () => {
    const exec = new SpdyExec();
    expect(exec.receive(bytes('00000005 00000001 61'))).toEqual([
      { kind: 'opened' },
      { kind: 'stdout', data: Buffer.from('a') },
    ]);
    expect(exec.receive(replies)).toEqual([]);
  });

  it('is refused by a reset before that, and not after', () => {
    const reset = bytes('80030003 00000008 00000005 00000003');
    expect(new SpdyExec().receive(reset)).toEqual([
      { kind: 'ended', detail: 'stream 5 was refused with code 3' },
    ]);
    expect(opened().receive(reset)).toEqual([]);
  });

  it('cuts stdin into frames of at most 256 KiB', () => {
    const data = Buffer.alloc(300 * 1024, 1);
    const frames = opened().stdin([data.subarray(0, 10), data.subarray(10)]);
    expect(frames.filter(({ length }) => length === 8).map((each) => Buffer.from(each))).toEqual([
      bytes('00000003 00040000'),
      bytes('00000003 0000b000'),
    ]);
    expect(frames.reduce((sum, { length }) => sum + length, 0)).toBe(data.length + 16);
  });

  it('half-closes stdin with an empty last frame', () => {
    expect(opened().endStdin()).toEqual([bytes('00000003 01000000')]);
  });

  it('numbers its pings oddly and answers even ones', () => {
    const exec = opened();
    expect([exec.ping(), exec.ping()]).toEqual([
      bytes('80030006 00000004 00000001'),
      bytes('80030006 00000004 00000003'),
    ]);
    expect(exec.receive(bytes('80030006 00000004 00000003'))).toEqual([]);
    const ping = bytes('80030006 00000004 0000000a');
    expect(exec.receive(ping)).toEqual([{ kind: 'reply', bytes: ping }]);
  });

  it('reads a status in several frames', () => {
    const exec = opened();
    const head = bytes('00000001 0000000a');
    expect(exec.receive(Buffer.concat([head, Buffer.from('{"status":')]))).toEqual([]);
    expect(exec.receive(Buffer.concat([head, Buffer.from('"Success"}')]))).toEqual([
      { kind: 'status', status: { kind: 'exited', exitCode: 0 } },
    ]);
  });

  it.each<[string, string]>([
    ['an end', '00000001 01000000'],
    ['a reset', '80030003 00000008 00000001 00000005'],
  ])('takes plain text for a failure once %s says that it is whole', (_name, end) => {
    const exec = opened();
    const failed: ExecEvent = {
      kind: 'status',
      status: { kind: 'failed', reason: 'Unknown', message: 'boom' },
    };
    expect(exec.receive(bytes('00000001 00000004 626f6f6d'))).toEqual([]);
    expect(exec.receive(bytes(end))).toEqual([failed]);
    expect(exec.receive(bytes(end))).toEqual([]);
  });
});
