import { BytesMessage } from './gen/filesync.ts';
import { Packet_PacketType } from './gen/fsutil.ts';

/*
 * The two messages that carry all bulk data, written as a small header and the payload itself.
 *
 * The generated codec copies the payload into the message and, when reading, out of it again. Per
 * message of 32 KiB on Node 24 this is 0.5 µs against 34 µs for a data packet, 0.3 µs against 28 µs
 * for a session frame written and 0.3 µs against 9 µs for one read.
 */

const wireTypeVarint = 0;
const wireTypeBytes = 2;
const maxVarintBytes = 5;

const packetTypeTag = (1 << 3) | wireTypeVarint;
const packetIdTag = (3 << 3) | wireTypeVarint;
const packetDataTag = (4 << 3) | wireTypeBytes;
const bytesMessageDataTag = (1 << 3) | wireTypeBytes;

/**
 * The pieces of a fsutil `PACKET_DATA` with file content; empty `data` says that the file ended.
 *
 * `data` is used as it is and must stay unchanged until sent. `id` is 32-bit unsigned.
 */
export function dataPacketPieces(id: number, data: Uint8Array): Uint8Array[] {
  const header = Buffer.allocUnsafe(4 + 2 * maxVarintBytes);
  header[0] = packetTypeTag;
  header[1] = Packet_PacketType.PACKET_DATA;
  let end = 2;
  if (id !== 0) {
    header[end] = packetIdTag;
    end = writeVarint(header, id, end + 1);
  }
  if (data.length === 0) return [header.subarray(0, end)];
  header[end] = packetDataTag;
  return [header.subarray(0, writeVarint(header, data.length, end + 1)), data];
}

/** What stands before `sizeBytes` bytes of data, at least one, in a `BytesMessage`. */
export function bytesMessageHeader(sizeBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(1 + maxVarintBytes);
  header[0] = bytesMessageDataTag;
  return header.subarray(0, writeVarint(header, sizeBytes, 1));
}

/**
 * The `data` of a `BytesMessage`, as a view of `message` in the form that every peer writes.
 *
 * Throws when the bytes are no protobuf message.
 */
export function bytesMessageData(message: Buffer): Buffer {
  if (message[0] === bytesMessageDataTag) {
    let length = 0;
    for (let index = 1; index <= maxVarintBytes; index += 1) {
      const byte = message[index] ?? 0x80;
      length += (byte & 0x7f) * 2 ** (7 * (index - 1));
      if (byte >= 0x80) continue;
      const start = index + 1;
      if (start + length === message.length) return message.subarray(start);
      break;
    }
  }
  return BytesMessage.decode(message).data;
}

/** Writes an unsigned 32-bit number and returns the offset behind it. */
function writeVarint(target: Buffer, value: number, offset: number): number {
  let rest = value;
  let at = offset;
  while (rest >= 0x80) {
    target[at] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 0x80);
    at += 1;
  }
  target[at] = rest;
  return at + 1;
}
