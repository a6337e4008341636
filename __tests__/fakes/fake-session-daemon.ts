import { once } from 'node:events';
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Duplex, Transform } from 'node:stream';
import type { Session } from '../../src/session/session.ts';
import { grpcFrame } from './fake-buildkitd.ts';

/*
 * The daemon's end of a session on a real TCP connection: an HTTP/2 client that calls us. gRPC
 * frames are made and read by hand. It honours HTTP/2 flow control and nothing of BuildKit.
 */

/** How a call ended, as the daemon sees it. */
export interface CallEnd {
  readonly messages: readonly Buffer[];
  /** -1 when the call was reset. */
  readonly status: number;
  /** `grpc-message` as it came. */
  readonly message: string;
  readonly resetCode: number;
  /** Whether the status came without response headers before it. */
  readonly trailersOnly: boolean;
}

/** A call under way. */
export interface DaemonCall {
  readonly stream: ClientHttp2Stream;
  readonly ended: Promise<CallEnd>;
  /** Sends one message, as one gRPC frame. */
  send(message: Uint8Array): void;
}

type HeaderFields = Readonly<Record<string, string | readonly string[]>>;

/** A daemon connected to a session that is being served. */
export class FakeSessionDaemon implements AsyncDisposable {
  readonly client: ClientHttp2Session;
  /** The daemon's end of the connection. */
  readonly socket: Socket;
  /** What `Session.serve` returned. */
  readonly served: Promise<void>;
  /** Ends the session in order. */
  readonly stop: AbortController;

  private constructor(link: SocketPair, session: Session, stop: AbortController) {
    this.socket = link.far;
    this.stop = stop;
    this.served = session.serve(link.near, stop.signal);
    this.served.catch(() => undefined);
    this.client = connectHttp2('http://localhost', {
      createConnection: () => link.far,
      maxSendHeaderBlockLength: 16 * 1024 * 1024,
    });
    this.client.on('error', () => undefined);
  }

  static async connect(session: Session, stop = new AbortController()): Promise<FakeSessionDaemon> {
    return new FakeSessionDaemon(await socketPair(), session, stop);
  }

  call(path: string, headers: HeaderFields = {}): DaemonCall {
    const stream = this.client.request({
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': 'localhost',
      ':path': path,
      'content-type': 'application/grpc',
      'user-agent': 'grpc-go/1.80.0',
      te: 'trailers',
      ...headers,
    });
    return {
      stream,
      ended: callEnd(stream),
      send: (message) => {
        stream.write(grpcFrame(message));
      },
    };
  }

  /** A call with these messages and then the half-close. */
  unary(path: string, messages: readonly Uint8Array[], headers?: HeaderFields): Promise<CallEnd> {
    const call = this.call(path, headers);
    for (const message of messages) call.send(message);
    call.stream.end();
    return call.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.served.catch(() => undefined);
    this.client.destroy();
    this.socket.destroy();
  }
}

function callEnd(stream: ClientHttp2Stream): Promise<CallEnd> {
  const chunks: Buffer[] = [];
  let status: IncomingHttpHeaders = {};
  let trailersOnly = false;
  stream.on('error', () => undefined);
  stream.on('response', (headers) => {
    if (headers['grpc-status'] === undefined) return;
    status = headers;
    trailersOnly = true;
  });
  stream.on('trailers', (headers: IncomingHttpHeaders) => {
    status = headers;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    stream.on('close', () => {
      resolve({
        messages: readFrames(Buffer.concat(chunks)),
        status: Number(status['grpc-status'] ?? -1),
        message: String(status['grpc-message'] ?? ''),
        resetCode: stream.rstCode,
        trailersOnly,
      });
    });
  });
}

/** The messages in a whole gRPC stream; what is cut off is left out. */
export function readFrames(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}

/** One HTTP/2 frame. */
export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

interface SocketPair {
  readonly near: Socket;
  readonly far: Socket;
}

/** Both ends of a TCP connection on 127.0.0.1. */
export async function socketPair(): Promise<SocketPair> {
  const server = createServer({ noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = await accepted;
  server.close();
  for (const socket of [near, far]) socket.on('error', () => undefined);
  return { near, far };
}

/** The same byte stream, but read one byte at a time. */
export function byteByByte(stream: Duplex): Duplex {
  const crumbs = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const byte of chunk) this.push(Buffer.of(byte));
      done();
    },
  });
  return Duplex.from({ readable: stream.pipe(crumbs), writable: stream });
}
