import { connect, type Socket } from 'node:net';

import {
  type FakeRequest,
  spdyData,
  spdyReply,
  webSocketAccept,
  webSocketMessage,
} from './fake-exec-server.ts';

export interface ForwardOptions {
  /** Where the port leads; unset: nobody listens. */
  readonly to?: { readonly host: string; readonly port: number } | undefined;
  /** What the node says when nobody listens, in as many pieces. */
  readonly complaint?: readonly string[];
  /** Each byte in a packet of its own, as far as the kernel lets it; default false. */
  readonly trickle?: boolean;
  /** Default true. */
  readonly answerPings?: boolean;
}

const refusal = [
  'error forwarding port 1234: dial tcp4 127.0.0.1:1234: connect: connection refused',
];

/** The far side of one forwarded port, framed by hand: what a node's runtime does with it. */
export class FakeForward {
  readonly request: FakeRequest;
  /** What the client did that the protocol forbids. */
  readonly violations: string[] = [];
  pings = 0;
  /** Bytes that came for the port. */
  receivedBytes = 0;
  readonly #options: ForwardOptions;
  readonly #spdy: boolean;
  readonly #target: Socket | undefined;
  #buffer = Buffer.alloc(0);
  #streams = 0;

  constructor(request: FakeRequest, options: ForwardOptions) {
    this.request = request;
    this.#options = options;
    const { headers, socket } = request;
    this.#spdy = headers.upgrade === 'SPDY/3.1';
    socket.write(switching(headers, this.#spdy));
    this.#target = options.to === undefined ? undefined : connect(options.to);
    this.#target?.on('error', () => undefined);
    this.#target?.on('data', (data: Buffer) => {
      if (!this.send(data)) this.#target?.pause();
    });
    this.#target?.on('close', () => {
      this.close();
    });
    socket.on('drain', () => this.#target?.resume());
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
    socket.on('close', () => this.#target?.destroy());
    if (!this.#spdy) {
      for (const channel of [0, 1]) this.#message(channel, Buffer.from([0xd2, 0x04]));
      if (this.#target === undefined) this.complain();
    }
  }

  /** Data from the port. */
  send(data: Buffer): boolean {
    return this.#spdy ? this.#write(spdyData(3, data)) : this.#message(0, data);
  }

  /** What the node says on the error channel. */
  complain(pieces: readonly string[] = this.#options.complaint ?? refusal): void {
    for (const piece of pieces) {
      if (this.#spdy) this.#write(spdyData(1, Buffer.from(piece)));
      else this.#message(1, Buffer.from(piece));
    }
  }

  /** Ends the port as the runtime does when the process there has closed it. */
  close(): void {
    if (this.#spdy) this.#write(Buffer.from('0000000301000000', 'hex'));
    else this.#write(Buffer.of(0x88, 2, 0x03, 0xe8));
  }

  /** Anything at all. */
  raw(bytes: Buffer): void {
    this.#write(bytes);
  }

  #message(channel: number, data: Buffer): boolean {
    return this.#write(webSocketMessage(Buffer.concat([Buffer.of(channel), data])));
  }

  #write(bytes: Buffer): boolean {
    const { socket } = this.request;
    if (this.#options.trickle !== true) return socket.write(bytes);
    return [...bytes].map((byte) => socket.write(Buffer.of(byte))).every(Boolean);
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const size = this.#spdy ? spdySize(this.#buffer) : webSocketSize(this.#buffer);
      if (size === undefined || this.#buffer.length < size) return;
      const frame = this.#buffer.subarray(0, size);
      this.#buffer = this.#buffer.subarray(size);
      if (this.#spdy) this.#takeSpdy(frame);
      else this.#takeWebSocket(frame);
    }
  }

  #takeSpdy(frame: Buffer): void {
    if ((frame[0]! & 0x80) === 0) {
      const id = frame.readUInt32BE(0);
      if (id === 3) this.#take(frame.subarray(8));
      else if (id !== 1 || frame.length > 8) this.violations.push(`data on stream ${id}`);
      return;
    }
    const type = frame.readUInt16BE(2);
    if (type === 1) this.#takeStream(frame);
    else if (type === 6) this.#takePing(frame);
    else this.violations.push(`frame of type ${type}`);
  }

  /** The blocks are stored, so that their texts can be read as they are. */
  #takeStream(frame: Buffer): void {
    const id = frame.readUInt32BE(8);
    const kind = id === 1 ? 'error' : 'data';
    const text = frame.toString('latin1');
    for (const word of ['streamtype', kind, 'port', '1234', 'requestid']) {
      if (!text.includes(word)) this.violations.push(`stream ${id} has no ${word}`);
    }
    this.#streams += 1;
    this.#write(spdyReply(id));
    if (this.#streams === 2 && this.#target === undefined) this.complain();
  }

  #takePing(frame: Buffer): void {
    this.pings += 1;
    if (this.#options.answerPings !== false) this.#write(frame);
  }

  #takeWebSocket(frame: Buffer): void {
    const short = frame[1]! & 0x7f;
    const payload = frame.subarray(short < 126 ? 6 : short === 126 ? 8 : 14);
    switch (frame[0]!) {
      case 0x82:
        if (payload[0] === 0) this.#take(payload.subarray(1));
        else this.violations.push(`message on channel ${payload[0]}`);
        return;
      case 0x89:
        this.pings += 1;
        if (this.#options.answerPings !== false) this.#write(Buffer.of(0x8a, 0));
        return;
      case 0x88:
      case 0x8a:
        return;
      default:
        this.violations.push(`frame that begins with ${frame[0]}`);
    }
  }

  #take(data: Buffer): void {
    this.receivedBytes += data.length;
    const { socket } = this.request;
    if (this.#target?.write(data) !== false) return;
    socket.pause();
    this.#target.once('drain', () => socket.resume());
  }
}

function switching(headers: FakeRequest['headers'], spdy: boolean): string {
  const lines = spdy
    ? ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: portforward.k8s.io']
    : [
        'Upgrade: websocket',
        `Sec-WebSocket-Accept: ${webSocketAccept(headers['sec-websocket-key'] ?? '')}`,
        'Sec-WebSocket-Protocol: v4.channel.k8s.io',
      ];
  return ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines, '', ''].join('\r\n');
}

function spdySize(bytes: Buffer): number | undefined {
  return bytes.length < 8 ? undefined : 8 + bytes.readUIntBE(5, 3);
}

/** Of a masked frame. */
function webSocketSize(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  if (short < 126) return 6 + short;
  if (short === 126) return bytes.length < 4 ? undefined : 8 + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 14 + Number(bytes.readBigUInt64BE(2));
}
