import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BytesMessage } from '../../../src/wire/gen/filesync.ts';
import { Packet, Packet_PacketType } from '../../../src/wire/gen/fsutil.ts';
import {
  bytesMessageData,
  bytesMessageHeader,
  dataPacketPieces,
} from '../../../src/wire/payload-frames.ts';

/** Around every length at which a varint grows. */
const sizes = [0, 1, 127, 128, 16383, 16384, 32 * 1024, 2 ** 21 - 1, 2 ** 21];

describe('dataPacketPieces', () => {
  it('writes the bytes of the protobuf encoding', () => {
    const pieces = dataPacketPieces(300, Buffer.from('abc'));
    // type=DATA, ID=300, data of 3 bytes
    expect(Buffer.concat(pieces).toString('hex')).toBe('080218ac022203616263');
  });

  it.each(sizes)('agrees with the generated codec on %d bytes', (size) => {
    for (const id of [0, 1, 127, 128, 0xffff_ffff]) {
      const data = Buffer.alloc(size, 0xa5);
      const expected = Packet.encode({ type: Packet_PacketType.PACKET_DATA, ID: id, data });
      const written = Buffer.concat(dataPacketPieces(id, data));
      expect(written.equals(expected.finish())).toBe(true);
    }
  });

  it('does not copy the payload', () => {
    const data = Buffer.from('content');
    expect(dataPacketPieces(7, data).at(-1)).toBe(data);
  });
});

describe('bytesMessageHeader', () => {
  it.each(sizes.slice(1))('agrees with the generated codec on %d bytes', (size) => {
    const data = Buffer.alloc(size, 0x5a);
    const written = Buffer.concat([bytesMessageHeader(size), data]);
    expect(written.equals(BytesMessage.encode({ data }).finish())).toBe(true);
  });
});

describe('bytesMessageData', () => {
  it.each(sizes)('reads %d bytes', (size) => {
    const data = Buffer.alloc(size, 0x5a);
    const message = Buffer.from(BytesMessage.encode({ data }).finish());
    expect(bytesMessageData(message).equals(data)).toBe(true);
  });

  it('returns a view of the message', () => {
    const message = Buffer.from('0a03616263', 'hex');
    const data = bytesMessageData(message);
    message.write('x', 2);
    expect(data.toString()).toBe('xbc');
  });

  it.each([
    ['an empty message', '', ''],
    ['a field repeated, of which the last counts', '0a01610a0162', 'b'],
    ['an unknown field behind', '0a01611001', 'a'],
    ['an unknown field before', '10010a0161', 'a'],
    ['an overlong length', '0a81808080800061', 'a'],
  ])('reads %s', (_name, hex, expected) => {
    expect(bytesMessageData(Buffer.from(hex, 'hex')).toString()).toBe(expected);
  });

  it.each([
    ['a truncated payload', '0a0361'],
    ['a truncated length', '0a80'],
    ['a lone tag', '0a'],
  ])('throws on %s', (_name, hex) => {
    expect(() => bytesMessageData(Buffer.from(hex, 'hex'))).toThrow();
  });

  it('agrees with the generated codec on any bytes', () => {
    const read = (decode: () => Uint8Array): string => {
      try {
        return Buffer.from(decode()).toString('hex');
      } catch {
        return 'throws';
      }
    };
    const almostMessage = fc
      .tuple(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ minLength: 1, maxLength: 300 }))
      .map(([noise, data]) => {
        const message = Buffer.concat([bytesMessageHeader(data.length), data, noise]);
        return noise.length % 2 === 0 ? message : message.subarray(0, message.length - 2);
      });
    fc.assert(
      fc.property(fc.oneof(almostMessage, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        const message = Buffer.from(bytes);
        expect(read(() => bytesMessageData(message))).toBe(
          read(() => BytesMessage.decode(message).data),
        );
      }),
      { numRuns: 500 },
    );
  });
});
