import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  type PortForwardCodec,
  type PortForwardEvent,
  SpdyPortForward,
  WebSocketPortForward,
} from '../../../../src/kubernetes/connection/port-forward-codec.ts';
import {
  spdyData,
  spdyReply,
  spdyReset,
  webSocketMessage,
} from '../../../fakes/fake-exec-server.ts';

const port = Buffer.from([0xd2, 0x04]);

function onChannel(channel: number, ...parts: (Buffer | string)[]): Buffer {
  const payload = parts.map((part) => Buffer.from(part as string));
  return webSocketMessage(Buffer.concat([Buffer.of(channel), ...payload]));
}

/** What a codec makes of bytes that come in these pieces, data put together. */
function receive(codec: PortForwardCodec, bytes: Buffer, cuts: readonly number[]): unknown[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  const events: PortForwardEvent[] = [];
  let start = 0;
  for (const end of ends) {
    events.push(...codec.receive(bytes.subarray(start, end)));
    start = end;
  }
  const together: { kind: string; text?: string }[] = [];
  for (const event of events) {
    if (!('data' in event)) together.push({ kind: event.kind });
    else {
      const last = together.at(-1);
      const text = event.data.toString('latin1');
      if (last?.kind === event.kind) last.text = `${last.text ?? ''}${text}`;
      else together.push({ kind: event.kind, text });
    }
  }
  return together;
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });

describe('a forwarded port', () => {
  it('is read over WebSocket however the bytes are cut, without its number', () => {
    const bytes = Buffer.concat([
      onChannel(0, port),
      onChannel(1, port),
      onChannel(0, 'hello '),
      onChannel(0),
      onChannel(0, 'world'.repeat(100)),
      Buffer.from([0x8a, 0]),
      onChannel(1, 'refused'),
      onChannel(7, 'unknown'),
      Buffer.from([0x88, 2, 0x03, 0xe8]),
    ]);
    fc.assert(
      fc.property(cuts, (where) => {
        expect(receive(new WebSocketPortForward(), bytes, where)).toEqual([
          { kind: 'data', text: `hello ${'world'.repeat(100)}` },
          { kind: 'complaint', text: 'refused' },
          { kind: 'reply' },
          { kind: 'ended' },
        ]);
      }),
    );
  });

  it('is read over WebSocket also where data follows its number in one message', () => {
    const bytes = Buffer.concat([onChannel(0, port, 'da'), onChannel(0, 'ta'), onChannel(1, port)]);
    fc.assert(
      fc.property(cuts, (where) => {
        expect(receive(new WebSocketPortForward(), bytes, where)).toEqual([
          { kind: 'data', text: 'data' },
        ]);
      }),
    );
  });

  it('is read over SPDY however the bytes are cut', () => {
    const bytes = Buffer.concat([
      spdyReply(1),
      spdyReply(3),
      spdyData(3, Buffer.from('hello '.repeat(50))),
      spdyData(1, Buffer.from('refused')),
      Buffer.from('0000000301000000', 'hex'),
      spdyReset(1, 5),
    ]);
    fc.assert(
      fc.property(cuts, (where) => {
        expect(receive(new SpdyPortForward(1234), bytes, where)).toEqual([
          { kind: 'data', text: 'hello '.repeat(50) },
          { kind: 'complaint', text: 'refused' },
          { kind: 'ended' },
          { kind: 'ended' },
        ]);
      }),
    );
  });

  it.each([
    ['SPDY', () => new SpdyPortForward(1234), 8, 256 * 1024],
    ['WebSocket', () => new WebSocketPortForward(), 15, 256 * 1024 - 1],
  ] as const)(
    'is written over %s in frames of one size at most, uncopied',
    (_, make, most, limit) => {
      const data = Buffer.alloc(600_000, 'x');
      const frames = make().send([data.subarray(0, 10), data.subarray(10)]);
      const payloads = frames.filter((bytes) => bytes.buffer === data.buffer);
      const sizes = payloads.map(({ length }) => length);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(data.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
      for (const header of frames.filter((bytes) => !payloads.includes(bytes))) {
        expect(header.length).toBeLessThanOrEqual(most);
      }
    },
  );
});
