import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { constants, inflateRawSync } from 'node:zlib';

/** The head of an HTTP request as it came over the wire. */
export interface FakeRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: Socket;
}

/** Does with a connection whatever it likes. */
export type RequestHandler = (request: FakeRequest) => void;

/** An API server of bytes made by hand: knows exec over SPDY and WebSocket, and every way to refuse. */
export interface FakeExecServer extends AsyncDisposable {
  readonly url: URL;
  readonly requests: readonly FakeRequest[];
  /** Connections that were taken so far, TLS handshakes done. */
  readonly sockets: readonly Socket[];
  /** The next exec that was accepted. */
  nextPeer(): Promise<FakeExecPeer>;
}

export interface FakeExecOptions {
  readonly tls?: TlsOptions;
  /** Decides about a request before it is served; `true`: it was dealt with. */
  readonly intercept?: (request: FakeRequest) => boolean;
  readonly peer?: PeerOptions;
}

export interface PeerOptions {
  /** Each byte in a packet of its own, as far as the kernel lets it; default false. */
  readonly trickle?: boolean;
  /** Default true. */
  readonly answerPings?: boolean;
  /** SPDY: what to send for each stream that is opened; default: its reply. */
  readonly answerStream?: (streamId: number) => Buffer;
  /** Bytes that go out in one packet with the 101. */
  readonly withUpgrade?: Buffer;
}

export async function startFakeExecServer(options: FakeExecOptions = {}): Promise<FakeExecServer> {
  const requests: FakeRequest[] = [];
  const peers = new Queue<FakeExecPeer>();
  const sockets: Socket[] = [];
  const accept = (socket: Socket): void => {
    sockets.push(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    readRequest(socket, (request) => {
      requests.push(request);
      if (options.intercept?.(request) === true) return;
      peers.push(acceptExec(request, options.peer ?? {}));
    });
  };
  const server: Server =
    options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
  const raw = new Set<Socket>();
  server.on('connection', (socket) => raw.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`),
    requests,
    sockets,
    nextPeer: () => peers.shift(),
    async [Symbol.asyncDispose]() {
      for (const socket of raw) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers a request with a response that is no upgrade. */
export function answer(
  { socket }: FakeRequest,
  status: string,
  body: string,
  headers: readonly string[] = [],
): void {
  const lines = [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** A `Status` object as API servers send it. */
export function kubeStatus(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ metadata: {}, status: 'Failure', ...fields, kind: 'Status' });
}

/** The status that ends an exec with an exit code other than 0. */
export function exitStatus(code: number): string {
  return JSON.stringify({
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  });
}

export const successStatus = '{"metadata":{},"status":"Success"}';

/** The far side of one accepted exec. */
export abstract class FakeExecPeer {
  readonly request: FakeRequest;
  /** What came on stdin; tests empty it when they count far. */
  stdin: Buffer[] = [];
  stdinBytes = 0;
  stdinEnded = false;
  /** Called for each piece of stdin. */
  onStdin: (data: Buffer) => void = () => undefined;
  /** Ping frames of the client, and its answers to ours. */
  pings = 0;
  readonly pongs: string[] = [];
  /** What the client did that the protocol forbids. */
  readonly violations: string[] = [];
  largestFrameBytes = 0;
  protected readonly options: PeerOptions;
  #waiting: (() => void)[] = [];
  #buffer = Buffer.alloc(0);

  constructor(request: FakeRequest, options: PeerOptions) {
    this.request = request;
    this.options = options;
    request.socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      for (;;) {
        const size = this.frameSize(this.#buffer);
        if (size === undefined || this.#buffer.length < size) break;
        this.takeFrame(this.#buffer.subarray(0, size));
        this.#buffer = this.#buffer.subarray(size);
      }
      for (const check of this.#waiting) check();
    });
    request.socket.on('close', () => {
      for (const check of this.#waiting) check();
    });
  }

  get socket(): Socket {
    return this.request.socket;
  }

  abstract stdout(data: Buffer | string): void;
  abstract stderr(data: string): void;
  abstract status(json: string): void;
  /** A ping that carries `word`, as far as the protocol allows. */
  abstract ping(word: string): void;
  /** Ends as servers do when the command has ended. */
  abstract close(): void;
  /** Size of the first frame, once enough of it is there to know. */
  protected abstract frameSize(bytes: Buffer): number | undefined;
  protected abstract takeFrame(frame: Buffer): void;

  /** Resolves once `condition` holds, which is asked whenever something arrived. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting = this.#waiting.filter((each) => each !== check);
        resolve();
      };
      this.#waiting.push(check);
      check();
    });
  }

  write(bytes: Buffer): void {
    if (this.options.trickle !== true) {
      this.socket.write(bytes);
      return;
    }
    for (const byte of bytes) this.socket.write(Buffer.of(byte));
  }

  protected takeStdin(data: Buffer): void {
    if (this.stdinEnded) this.violations.push('stdin after its end');
    this.stdin.push(Buffer.from(data));
    this.stdinBytes += data.length;
    this.onStdin(data);
  }
}

/** SPDY/3.1 by the draft; keeps what the client said when it opened its streams. */
export class SpdyPeer extends FakeExecPeer {
  /** `streamtype` of each opened stream, by its number. */
  readonly streams = new Map<number, string>();
  #headerBlocks = Buffer.alloc(0);
  #headerText = 0;

  stdout(data: Buffer | string): void {
    this.write(spdyData(5, Buffer.from(data)));
  }

  stderr(data: string): void {
    this.write(spdyData(7, Buffer.from(data)));
  }

  status(json: string): void {
    this.write(spdyData(1, Buffer.from(json)));
  }

  ping(word: string): void {
    const frame = Buffer.from('80030006 00000004 00000000'.replaceAll(' ', ''), 'hex');
    frame.writeUInt32BE(Number(word), 8);
    this.write(frame);
  }

  close(): void {
    for (const id of this.streams.keys()) this.write(spdyReset(id, 5));
    this.write(Buffer.from('80030007 00000008 00000000 00000000'.replaceAll(' ', ''), 'hex'));
    this.socket.end();
  }

  protected frameSize(bytes: Buffer): number | undefined {
    return bytes.length < 8 ? undefined : 8 + bytes.readUIntBE(5, 3);
  }

  protected takeFrame(frame: Buffer): void {
    this.largestFrameBytes = Math.max(this.largestFrameBytes, frame.length);
    const fin = (frame[4]! & 1) === 1;
    if ((frame[0]! & 0x80) === 0) {
      if (frame.readUInt32BE(0) !== 3) this.violations.push('data on another stream than stdin');
      if (frame.length > 8) this.takeStdin(frame.subarray(8));
      if (fin) this.stdinEnded = true;
      return;
    }
    if (frame.readUInt16BE(0) !== 0x8003) this.violations.push('wrong version');
    const type = frame.readUInt16BE(2);
    if (type === 1) this.#takeStream(frame);
    else if (type === 6) this.#takePing(frame);
    else this.violations.push(`frame of type ${type}`);
  }

  #takeStream(frame: Buffer): void {
    const id = frame.readUInt32BE(8);
    this.streams.set(id, this.#readHeaders(frame.subarray(18)));
    this.write(this.options.answerStream?.(id) ?? spdyReply(id));
  }

  /** One zlib stream spans all header blocks; each must come out whole when its frame is in. */
  #readHeaders(block: Buffer): string {
    const dictionaryHeader = Buffer.from('78bbe3c6a7c2', 'hex');
    const first = this.#headerBlocks.length === 0;
    if (first && !block.subarray(0, 6).equals(dictionaryHeader)) {
      this.violations.push('no zlib header that asks for the dictionary');
    }
    if (block.toString('hex', block.length - 4) !== '0000ffff') {
      this.violations.push('header block without a flush');
    }
    this.#headerBlocks = Buffer.concat([this.#headerBlocks, first ? block.subarray(6) : block]);
    const all = inflateRawSync(this.#headerBlocks, { finishFlush: constants.Z_SYNC_FLUSH });
    const text = all.subarray(this.#headerText);
    this.#headerText = all.length;
    const nameSize = text.readUInt32BE(4);
    const name = text.toString('utf8', 8, 8 + nameSize);
    const value = text.toString('utf8', 12 + nameSize);
    const fits = text.readUInt32BE(0) === 1 && text.readUInt32BE(8 + nameSize) === value.length;
    if (!fits || name !== 'streamtype') this.violations.push(`headers ${text.toString('hex')}`);
    return value;
  }

  #takePing(frame: Buffer): void {
    const id = frame.readUInt32BE(8);
    if (id % 2 === 0) {
      this.pongs.push(String(id));
      return;
    }
    this.pings += 1;
    if (this.options.answerPings !== false) this.write(frame);
  }
}

/** RFC 6455 with the channels of Kubernetes. */
export class WebSocketPeer extends FakeExecPeer {
  stdout(data: Buffer | string): void {
    this.#message(1, data);
  }

  stderr(data: string): void {
    this.#message(2, data);
  }

  status(json: string): void {
    this.#message(3, json);
  }

  ping(word: string): void {
    this.write(Buffer.concat([Buffer.of(0x89, word.length), Buffer.from(word)]));
  }

  close(): void {
    this.write(Buffer.of(0x88, 2, 0x03, 0xe8));
    this.socket.end();
  }

  #message(channel: number, data: Buffer | string): void {
    this.write(webSocketMessage(Buffer.concat([Buffer.of(channel), Buffer.from(data)])));
  }

  protected frameSize(bytes: Buffer): number | undefined {
    if (bytes.length < 10) return bytes.length < 2 ? undefined : this.#smallFrameSize(bytes);
    const short = bytes[1]! & 0x7f;
    return short === 127 ? 14 + Number(bytes.readBigUInt64BE(2)) : this.#smallFrameSize(bytes);
  }

  #smallFrameSize(bytes: Buffer): number | undefined {
    const short = bytes[1]! & 0x7f;
    if (short < 126) return 6 + short;
    return short === 127 || bytes.length < 4 ? undefined : 8 + bytes.readUInt16BE(2);
  }

  protected takeFrame(frame: Buffer): void {
    this.largestFrameBytes = Math.max(this.largestFrameBytes, frame.length);
    if ((frame[0]! & 0xf0) !== 0x80) this.violations.push('a fragment, or an extension');
    if ((frame[1]! & 0x80) === 0) this.violations.push('no mask');
    const short = frame[1]! & 0x7f;
    const maskAt = short < 126 ? 2 : short === 126 ? 4 : 10;
    const payload = frame.subarray(maskAt + 4);
    if (frame.readUInt32BE(maskAt) !== 0) {
      const mask = frame.subarray(maskAt, maskAt + 4);
      payload.forEach((byte, index) => (payload[index] = byte ^ mask[index % 4]!));
    }
    switch (frame[0]! & 0x0f) {
      case 2:
        if (payload[0] === 0) this.takeStdin(payload.subarray(1));
        else if (payload.equals(Buffer.of(255, 0))) this.stdinEnded = true;
        else this.violations.push(`message on channel ${payload[0]}`);
        return;
      case 9:
        this.pings += 1;
        if (this.options.answerPings !== false) this.write(Buffer.of(0x8a, 0));
        return;
      case 10:
        this.pongs.push(payload.toString());
        return;
      case 8:
        return;
      default:
        this.violations.push(`opcode ${frame[0]! & 0x0f}`);
    }
  }
}

export function spdyReply(streamId: number): Buffer {
  // Header block of a reply as spdystream sends it; compressed, which nobody has to look into.
  const frame = Buffer.from(
    '80030002 0000000c 00000000 026100000000ffff'.replaceAll(' ', ''),
    'hex',
  );
  frame.writeUInt32BE(streamId, 8);
  return frame;
}

export function spdyReset(streamId: number, code: number): Buffer {
  const frame = Buffer.from('80030003 00000008 00000000 00000000'.replaceAll(' ', ''), 'hex');
  frame.writeUInt32BE(streamId, 8);
  frame.writeUInt32BE(code, 12);
  return frame;
}

export function spdyData(streamId: number, data: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(streamId, 0);
  header.writeUIntBE(data.length, 5, 3);
  return Buffer.concat([header, data]);
}

export function webSocketMessage(payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.of(0x82, length), payload]);
  if (length < 65536) {
    return Buffer.concat([Buffer.of(0x82, 126, Math.trunc(length / 256), length % 256), payload]);
  }
  const header = Buffer.alloc(10);
  header.set([0x82, 127]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

function acceptExec(request: FakeRequest, options: PeerOptions): FakeExecPeer {
  const { headers, socket } = request;
  const lines =
    headers.upgrade === 'SPDY/3.1'
      ? ['Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${headers['x-stream-protocol-version']}`]
      : [
          'Upgrade: websocket',
          `Sec-WebSocket-Accept: ${webSocketAccept(headers['sec-websocket-key'] ?? '')}`,
          `Sec-WebSocket-Protocol: ${headers['sec-websocket-protocol']?.split(', ')[0]}`,
        ];
  const head = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines];
  socket.write(
    Buffer.concat([
      Buffer.from(`${head.join('\r\n')}\r\n\r\n`),
      options.withUpgrade ?? Buffer.alloc(0),
    ]),
  );
  return headers.upgrade === 'SPDY/3.1'
    ? new SpdyPeer(request, options)
    : new WebSocketPeer(request, options);
}

export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Reads one request without a body, then leaves the socket alone. */
export function readRequest(socket: Socket | TLSSocket, handle: RequestHandler): void {
  let text = '';
  const read = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    if (!text.includes('\r\n\r\n')) return;
    socket.off('data', read);
    const [requestLine = '', ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
    const [method = '', target = ''] = requestLine.split(' ');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    handle({ method, target, headers, socket });
  };
  socket.on('data', read);
}

class Queue<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  push(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  shift(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#takers.push(resolve));
  }
}
