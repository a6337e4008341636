import { once } from 'node:events';
import {
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import protobuf from 'protobufjs';

/*
 * A BuildKit daemon's Control API on a real TCP port, scripted per RPC. Messages are encoded by
 * protobufjs from `proto/`, not by our own codecs. It honours nothing by itself: no job registry, no
 * session lookup, no cancellation; a test's handler says what happens.
 */

/** One call as the daemon sees it. */
export interface FakeCall {
  readonly rpc: string;
  /** Flat names and values, repeated fields apart. */
  readonly rawHeaders: readonly string[];
  readonly stream: ServerHttp2Stream;
  /** The request message; resolves when it has come whole. */
  readonly request: Promise<Record<string, unknown>>;
  /** Settles when the client is gone or has cancelled, with the HTTP/2 code. */
  readonly closed: Promise<number>;
  /** Sends one message, headers first if they have not been sent. */
  reply(message: Record<string, unknown>): boolean;
  /** Ends with a status in trailers (trailers-only when nothing was sent). */
  end(code?: number, message?: string, details?: Buffer): void;
  /** All values of a request header. */
  header(name: string): string[];
}

/** What the fake does, by name of the RPC. */
export type FakeHandlers = Readonly<Record<string, (call: FakeCall) => unknown>>;

const control = 'moby.buildkit.v1.Control';

const root = new protobuf.Root();
root.resolvePath = (_origin, target) =>
  target.startsWith('google/')
    ? target
    : path.join(import.meta.dirname, '..', '..', 'proto', path.basename(target));
root.loadSync('control.proto', { keepCase: true });
root.resolveAll();

const service = root.lookupService(control);
const responseTypes: Readonly<Record<string, string>> = Object.fromEntries(
  service.methodsArray.map((method) => [
    method.name,
    method.resolvedResponseType?.fullName.replace(/^\./, '') ?? '',
  ]),
);

/** Bytes of a message of `proto/`, by its full name or by one that is unique in BuildKit's package. */
export function encode(type: string, message: Record<string, unknown>): Buffer {
  const codec = root.lookupType(type);
  return Buffer.from(codec.encode(codec.fromObject(message)).finish());
}

/** The gRPC frame of a message. */
export function grpcFrame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** A serialized google.rpc.Status with JSON records under BuildKit's type names. */
export function statusDetails(
  code: number,
  message: string,
  records: readonly (readonly [type: string, json: unknown])[],
): Buffer {
  return encode('google.rpc.Status', {
    code,
    message,
    details: records.map(([type, json]) => ({
      type_url: `github.com/moby/buildkit/${type}`,
      value: Buffer.from(JSON.stringify(json)),
    })),
  });
}

/** A scripted daemon on a port of 127.0.0.1. */
export class FakeBuildkitd implements AsyncDisposable {
  readonly calls: FakeCall[] = [];
  readonly sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2Server;
  readonly #handlers: FakeHandlers;
  readonly #sockets = new Set<Socket>();
  /** What handlers threw; reported when the fake is disposed. */
  readonly #failures: unknown[] = [];

  private constructor(handlers: FakeHandlers) {
    this.#handlers = { Info: answerInfo, ...handlers };
    this.#server = createServer({ maxSessionMemory: 100 });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    this.#server.on('session', (session) => {
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => undefined);
    });
    this.#server.on('stream', (stream, headers, _flags, rawHeaders) => {
      this.#accept(stream, String(headers[':path']), rawHeaders);
    });
  }

  static async start(handlers: FakeHandlers = {}): Promise<FakeBuildkitd> {
    const fake = new FakeBuildkitd(handlers);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  /** Connects as through an exec stream: a Duplex that is no socket. */
  readonly dial = async (): Promise<Duplex> => await dialPort(this.port);

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all connections without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  callsOf(rpc: string): FakeCall[] {
    return this.calls.filter((call) => call.rpc === rpc);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    if (this.#failures.length > 0)
      throw new AggregateError(this.#failures, 'fake buildkitd failed');
  }

  #accept(stream: ServerHttp2Stream, fullPath: string, rawHeaders: readonly string[]): void {
    stream.on('error', () => undefined);
    const rpc = fullPath.slice(fullPath.lastIndexOf('/') + 1);
    const call = makeCall(stream, rpc, rawHeaders);
    this.calls.push(call);
    const handler = this.#handlers[rpc];
    if (handler === undefined || fullPath !== `/${control}/${rpc}`) {
      call.end(12, `unknown method ${fullPath}`);
      return;
    }
    Promise.resolve(call)
      .then(handler)
      .catch((error: unknown) => this.#failures.push(error));
  }
}

/** Answers `Info` as a daemon of this version. */
export function answerInfo(call: FakeCall): void {
  call.reply({ buildkitVersion: { package: 'github.com/moby/buildkit', version: 'v0.34.2' } });
  call.end();
}

/** A connection to a local port as a Duplex of its own. */
export async function dialPort(port: number): Promise<Duplex> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  // Else each window update waits for the acknowledgement of the frame before it.
  socket.setNoDelay(true);
  return new SocketTunnel(socket);
}

/** Hides a socket, so that node:http2 takes the way it takes with an exec stream. */
class SocketTunnel extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.pause();
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

function makeCall(stream: ServerHttp2Stream, rpc: string, rawHeaders: readonly string[]): FakeCall {
  const method = service.methodsArray.find(({ name }) => name === rpc);
  let trailers: Record<string, string> = {};
  stream.on('wantTrailers', () => {
    stream.sendTrailers(trailers);
  });
  const respond = (): void => {
    if (stream.headersSent || stream.destroyed) return;
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  };
  return {
    rpc,
    rawHeaders,
    stream,
    closed: new Promise((resolve) => {
      stream.on('close', () => {
        resolve(stream.rstCode);
      });
    }),
    request: method?.requestStream === true ? Promise.resolve({}) : readRequest(stream, method),
    reply: (message) => {
      respond();
      if (stream.destroyed) return false;
      return stream.write(grpcFrame(encode(responseTypes[rpc] ?? '', message)));
    },
    end: (code = 0, message = '', details) => {
      if (stream.destroyed) return;
      trailers = {
        'grpc-status': String(code),
        ...(message === '' ? {} : { 'grpc-message': encodeURIComponent(message) }),
        ...(details === undefined ? {} : { 'grpc-status-details-bin': details.toString('base64') }),
      };
      if (stream.headersSent) stream.end();
      else stream.respond({ 'content-type': 'application/grpc', ...trailers }, { endStream: true });
    },
    header: (name) =>
      rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1] === name),
  };
}

async function readRequest(
  stream: ServerHttp2Stream,
  method: protobuf.Method | undefined,
): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer);
    }
  } catch {
    return {};
  }
  const codec = method?.resolvedRequestType;
  const bytes = Buffer.concat(chunks).subarray(5);
  return codec ? codec.toObject(codec.decode(bytes), { longs: String }) : {};
}
