import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { FramingError } from '../../../../src/kubernetes/exec/exec-codec.ts';
import { WebSocketExec } from '../../../../src/kubernetes/exec/websocket-exec.ts';
import {
  type WebSocketFrame,
  WebSocketFrameReader,
} from '../../../../src/kubernetes/exec/websocket-frames.ts';

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

const medium = Buffer.alloc(300, 'm');
const large = Buffer.alloc(70_000, 'l');

/** Messages of all length forms, a fragmented one with pings inside, control frames, an end. */
const everything = Buffer.concat([
  bytes('8201 61 8100'),
  bytes('827e 012c'),
  medium,
  bytes('827f 0000000000011170'),
  large,
  bytes('0202 6263 8902 7069 8a00 0000 8001 64'),
  bytes('8804 03e8 6f6b'),
]);

/** Frames with the pieces of each message joined. */
function readFrames(chunks: readonly Buffer[]): WebSocketFrame[] {
  const reader = new WebSocketFrameReader();
  const joined: WebSocketFrame[] = [];
  let pieces: Buffer[] = [];
  let place = 0;
  for (const frame of chunks.flatMap((chunk) => reader.read(chunk))) {
    if (frame.kind !== 'message') {
      joined.push(frame);
      continue;
    }
    if (frame.first !== (pieces.length === 0))
      throw new Error('the start of a message is told wrong');
    if (frame.first) place = joined.length;
    pieces.push(frame.data);
    if (!frame.last) continue;
    joined.splice(place, 0, { ...frame, data: Buffer.concat(pieces), first: true });
    pieces = [];
  }
  return joined;
}

const message = (data: Buffer | string): WebSocketFrame => ({
  kind: 'message',
  data: Buffer.from(data),
  first: true,
  last: true,
});

const expected: WebSocketFrame[] = [
  message('a'),
  message(''),
  message(medium),
  message(large),
  message('bcd'),
  { kind: 'ping', data: Buffer.from('pi') },
  { kind: 'pong', data: Buffer.alloc(0) },
  { kind: 'close', code: 1000, reason: 'ok' },
];

/** With text for data, which is compared much faster. */
const legible = (frames: readonly WebSocketFrame[]): object[] =>
  frames.map((frame) =>
    'data' in frame ? { ...frame, data: frame.data.toString('latin1') } : frame,
  );

describe('WebSocketFrameReader', () => {
  it('reads one byte at a time', () => {
    const chunks = [...everything].map((byte) => Buffer.of(byte));
    expect(legible(readFrames(chunks))).toEqual(legible(expected));
  });

  it('reads the same however the bytes are cut', () => {
    const places = fc.array(fc.nat({ max: 400 }), { maxLength: 40 });
    fc.assert(
      fc.property(places, places, (front, back) => {
        const at = [...front, ...back.map((place) => everything.length - place)];
        const sorted = [...new Set(at)].sort((a, b) => a - b);
        const chunks = [0, ...sorted].map((start, index) =>
          everything.subarray(start, sorted[index]),
        );
        expect(legible(readFrames(chunks))).toEqual(legible(expected));
      }),
      { numRuns: 50 },
    );
  });

  it('hands on slices before a message is whole', () => {
    const chunk = bytes('8204 0102');
    const [piece] = new WebSocketFrameReader().read(chunk);
    expect(piece).toEqual({ kind: 'message', data: bytes('0102'), first: true, last: false });
    expect((piece as { data: Buffer }).data.buffer).toBe(chunk.buffer);
  });

  it('reads an end without a code', () => {
    expect(readFrames([bytes('8800')])).toEqual([{ kind: 'close', code: undefined, reason: '' }]);
  });

  it.each([
    ['an extension', 'c201 61'],
    ['a mask', '8281 00000000 61'],
    ['an unknown opcode', '8301 61'],
    ['a long control message', '897e 0080'],
    ['a fragmented control message', '0901 61'],
    ['a continuation of nothing', '8001 61'],
    ['a message within a message', '0201 61 8201 62'],
    ['a length beyond reason', '827f 7fffffffffffffff'],
  ])('refuses %s', (_name, hex) => {
    expect(() => new WebSocketFrameReader().read(bytes(hex))).toThrow(FramingError);
    expect(() => readFrames([...bytes(hex)].map((byte) => Buffer.of(byte)))).toThrow(FramingError);
  });
});

describe('WebSocketExec', () => {
  it('waits for nothing', () => {
    expect(new WebSocketExec('websocket-v5').opening()).toEqual([]);
  });

  it.each([
    [1, '8282 00000000 00'],
    [124, '82fd 00000000 00'],
    [125, '82fe 007e 00000000 00'],
    [65_534, '82fe ffff 00000000 00'],
    [65_535, '82ff 0000000000010000 00000000 00'],
    [262_143, '82ff 0000000000040000 00000000 00'],
  ])('frames %s bytes of stdin as one whole message with a mask of zeros', (size, header) => {
    const data = Buffer.alloc(size, 7);
    const [first, ...parts] = new WebSocketExec('websocket-v5').stdin([data]);
    expect(Buffer.from(first!).toString('hex')).toBe(bytes(header).toString('hex'));
    expect(Buffer.concat(parts).equals(data)).toBe(true);
  });

  it('starts another message rather than a large one', () => {
    const frames = new WebSocketExec('websocket-v5').stdin([Buffer.alloc(262_145)]);
    expect(frames.map(({ length }) => length)).toEqual([15, 262_143, 7, 2]);
  });

  it('half-closes stdin where the version can', () => {
    const frames = new WebSocketExec('websocket-v5').endStdin();
    expect(Buffer.concat(frames)).toEqual(bytes('8282 00000000 ff 00'));
    expect(new WebSocketExec('websocket-v4').endStdin()).toEqual([]);
  });

  it('pings without a payload', () => {
    expect(new WebSocketExec('websocket-v5').ping()).toEqual(bytes('8980 00000000'));
  });

  it('tells the channels apart, also when a message comes in pieces', () => {
    const exec = new WebSocketExec('websocket-v5');
    expect(exec.receive(bytes('8201 01'))).toEqual([]);
    expect(exec.receive(bytes('8204 0161'))).toEqual([{ kind: 'stdout', data: Buffer.from('a') }]);
    expect(exec.receive(bytes('6263'))).toEqual([{ kind: 'stdout', data: Buffer.from('bc') }]);
    expect(exec.receive(bytes('0200 0001 02 8002 6465'))).toEqual([
      { kind: 'stderr', data: Buffer.from('de') },
    ]);
    expect(exec.receive(bytes('8202 ff01 8203 096162 8200'))).toEqual([]);
  });

  it('answers pings and the end', () => {
    const exec = new WebSocketExec('websocket-v5');
    expect(exec.receive(bytes('8902 7069'))).toEqual([
      { kind: 'reply', bytes: bytes('8a82 00000000 7069') },
    ]);
    expect(exec.receive(bytes('8a00'))).toEqual([]);
    expect(exec.receive(bytes('8804 03f3 6f6b'))).toEqual([
      { kind: 'reply', bytes: bytes('8882 00000000 03f3') },
      { kind: 'ended', detail: 'the server closed the WebSocket with code 1011 (ok)' },
    ]);
  });

  it('reads the status, also as plain text', () => {
    const status = Buffer.from('{"status":"Success"}');
    const exec = new WebSocketExec('websocket-v5');
    const head = Buffer.of(0x82, status.length + 1, 3);
    expect(exec.receive(Buffer.concat([head, status.subarray(0, 5)]))).toEqual([]);
    expect(exec.receive(status.subarray(5))).toEqual([
      { kind: 'status', status: { kind: 'exited', exitCode: 0 } },
    ]);
    expect(exec.receive(bytes('8205 03 626f6f6d'))).toEqual([
      { kind: 'status', status: { kind: 'failed', reason: 'Unknown', message: 'boom' } },
    ]);
    expect(exec.receive(bytes('8201 03'))).toEqual([]);
  });
});
