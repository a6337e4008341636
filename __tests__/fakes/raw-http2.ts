import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { dialPort } from './fake-buildkitd.ts';

/*
 * An HTTP/2 server of hand-made frames, for what a real one cannot be told to do: several frames in
 * one read, a reset with a chosen code, an end without trailers. It reads no header blocks.
 */

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;
const endStream = 0x1;
const ack = 0x1;
const endHeaders = 0x4;
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** One request; what it sends is one write, and so one read of the client. */
export interface RawRequest {
  readonly socket: Socket;
  /** Counts from 0 over the life of the server. */
  readonly index: number;
  send(...frames: Buffer[]): void;
  headers(fields: Readonly<Record<string, string>>, options?: { end?: boolean }): Buffer;
  data(bytes: Buffer, options?: { end?: boolean }): Buffer;
  reset(code: number): Buffer;
  goaway(code: number, debug?: string): Buffer;
}

/** Headers of a good answer. */
export const okHeaders = { ':status': '200', 'content-type': 'application/grpc' } as const;

/** Plays `answer` for each request on a port of 127.0.0.1. */
export class RawHttp2Server implements AsyncDisposable {
  /** Codes of RST_STREAM frames that came from the client. */
  readonly resets: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #requests = 0;

  private constructor(answer: (request: RawRequest) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      this.#serve(socket, answer);
    });
  }

  static async start(answer: (request: RawRequest) => void): Promise<RawHttp2Server> {
    const server = new RawHttp2Server(answer);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  readonly dial = async (): Promise<Duplex> =>
    await dialPort((this.#server.address() as AddressInfo).port);

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #serve(socket: Socket, answer: (request: RawRequest) => void): void {
    let received = Buffer.alloc(0);
    let greeted = false;
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (!greeted) {
        if (received.length < preface.length) return;
        received = received.subarray(preface.length);
        greeted = true;
        socket.write(frame(type.settings, 0, 0, Buffer.alloc(0)));
      }
      while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
        const end = 9 + received.readUIntBE(0, 3);
        this.#onFrame(socket, received.subarray(0, end), answer);
        received = received.subarray(end);
      }
    });
  }

  #onFrame(socket: Socket, bytes: Buffer, answer: (request: RawRequest) => void): void {
    const flags = bytes.readUInt8(4);
    const streamId = bytes.readUInt32BE(5) & 0x7fffffff;
    const payload = bytes.subarray(9);
    switch (bytes.readUInt8(3)) {
      case type.settings:
        if ((flags & ack) === 0) socket.write(frame(type.settings, ack, 0, Buffer.alloc(0)));
        break;
      case type.ping:
        if ((flags & ack) === 0) socket.write(frame(type.ping, ack, 0, payload));
        break;
      case type.reset:
        this.resets.push(payload.readUInt32BE(0));
        break;
      case type.headers:
        answer(makeRequest(socket, streamId, this.#requests++));
        break;
      default:
    }
  }
}

function makeRequest(socket: Socket, streamId: number, index: number): RawRequest {
  return {
    socket,
    index,
    send: (...frames) => socket.write(Buffer.concat(frames)),
    headers: (fields, { end = false } = {}) =>
      frame(type.headers, endHeaders | (end ? endStream : 0), streamId, headerBlock(fields)),
    data: (bytes, { end = false } = {}) => frame(type.data, end ? endStream : 0, streamId, bytes),
    reset: (code) => frame(type.reset, 0, streamId, uint32(code)),
    goaway: (code, debug = '') =>
      frame(type.goaway, 0, 0, Buffer.concat([uint32(streamId), uint32(code), Buffer.from(debug)])),
  };
}

function frame(kind: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(kind, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** HPACK literals without indexing and without Huffman codes; values below 127 bytes. */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) =>
      Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), text(value)]),
    ),
  );
}

function text(value: string): Buffer {
  if (Buffer.byteLength(value) > 126) throw new RangeError('value is too long for this fake');
  return Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
