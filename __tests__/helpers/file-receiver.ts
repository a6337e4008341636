import type { SessionCall } from '../../src/session/attachable.ts';
import { grpcStatus, SessionError } from '../../src/session/errors.ts';

/** A Stat as it came over the wire; paths have one character per byte. */
export interface ReceivedStat {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly modTime: bigint;
  readonly linkname: string;
  readonly devmajor: bigint;
  readonly devminor: bigint;
}

const modeType = 0x8f28_0000;
const modeDirectory = 0x8000_0000;
const modeSymlink = 0x0800_0000;

const packetType = { stat: 0, req: 1, data: 2, fin: 3, err: 4 } as const;

/** What a test changes of the receiver's behaviour. */
export interface ReceiverOptions {
  /** Which files are asked for; by default all, except hard links. */
  readonly wants?: (stat: ReceivedStat) => boolean;
  /** Whether files are asked for when they are listed or after the whole list. */
  readonly asks?: 'at once' | 'at the end';
  /** Called with each packet before it is looked at. */
  readonly onPacket?: (packet: ReceivedPacket) => void | Promise<void>;
}

export interface ReceivedPacket {
  readonly type: number;
  readonly stat: ReceivedStat | undefined;
  readonly id: number;
  readonly data: Buffer;
}

/**
 * The daemon's side of a DiffCopy call, with the checks that fsutil's receiver makes, over a call
 * that exists in memory only.
 *
 * Takes one packet at a time: while a test holds one in `onPacket`, further sends wait.
 */
export class FileReceiver implements SessionCall {
  readonly method = '/moby.filesync.v1.FileSync/DiffCopy';
  readonly stats: ReceivedStat[] = [];
  /** Content of the files that came whole, by path. */
  readonly files = new Map<string, Buffer>();
  readonly abort = new AbortController();
  readonly signal = this.abort.signal;
  /** What the sender said of its failure. */
  error: string | undefined;
  /** How many packets with content came. */
  dataPackets = 0;
  largestPacketBytes = 0;
  #finished = false;
  #saidFin = false;
  #listed = false;
  readonly #headers: Readonly<Record<string, readonly string[]>>;
  readonly #options: ReceiverOptions;
  readonly #expected = new Map<number, { readonly path: string; readonly chunks: Buffer[] }>();
  readonly #order = new OrderCheck();
  readonly #linkable = new Set<string>();
  readonly #outgoing: Buffer[] = [];
  #halfClosed = false;
  #wakeReader: () => void = () => undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(headers: Record<string, readonly string[]>, options: ReceiverOptions = {}) {
    this.#headers = headers;
    this.#options = options;
    this.signal.addEventListener('abort', () => {
      this.#wakeReader();
    });
  }

  header(name: string): readonly string[] {
    return this.#headers[name] ?? [];
  }

  async *messages(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      this.signal.throwIfAborted();
      const message = this.#outgoing.shift();
      if (message !== undefined) yield message;
      else if (this.#halfClosed) return;
      else await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
  }

  async send(message: Uint8Array | readonly Uint8Array[]): Promise<void> {
    this.signal.throwIfAborted();
    const bytes = Buffer.concat(message instanceof Uint8Array ? [message] : message);
    const turn = this.#turn.then(() => this.#take(bytes));
    this.#turn = turn;
    const cancelled = Promise.withResolvers<never>();
    const onAbort = (): void => {
      cancelled.reject(this.signal.reason as Error);
    };
    this.signal.addEventListener('abort', onAbort);
    try {
      await Promise.race([turn, cancelled.promise]);
    } finally {
      this.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Whether both sides said FIN. */
  get finished(): boolean {
    return this.#finished;
  }

  request(id: number): void {
    this.say(Buffer.from([0x08, packetType.req, 0x18, ...varint(id)]));
  }

  /** Sends the bytes of a packet, or bytes that are none. */
  say(message: Buffer): void {
    this.#outgoing.push(message);
    this.#wakeReader();
  }

  fail(reason: string): void {
    const text = Buffer.from(reason);
    this.say(Buffer.from([0x08, packetType.err, 0x22, ...varint(text.length), ...text]));
  }

  halfClose(): void {
    this.#halfClosed = true;
    this.#wakeReader();
  }

  cancel(): void {
    this.abort.abort(
      new SessionError('SESSION_CALL_CANCELLED', 'cancelled by the test', {
        status: grpcStatus.cancelled,
      }),
    );
  }

  async #take(bytes: Buffer): Promise<void> {
    this.largestPacketBytes = Math.max(this.largestPacketBytes, bytes.length);
    const packet = readPacket(bytes);
    await this.#options.onPacket?.(packet);
    switch (packet.type) {
      case packetType.stat:
        this.#takeStat(packet.stat);
        break;
      case packetType.data:
        this.#takeData(packet);
        break;
      case packetType.fin:
        if (!this.#listed || this.#expected.size > 0) throw new Error('FIN came too early');
        this.#finished = true;
        break;
      case packetType.err:
        this.error = packet.data.toString();
        break;
      default:
        throw new Error(`unexpected packet type ${packet.type}`);
    }
    this.#finishIfComplete();
  }

  #takeStat(stat: ReceivedStat | undefined): void {
    if (this.#listed) throw new Error('an entry came after the end of the list');
    if (stat === undefined) {
      this.#listed = true;
      if (this.#options.asks === 'at the end')
        this.stats.forEach((each, id) => {
          this.#ask(each, id);
        });
      return;
    }
    this.#order.check(stat.path, (stat.mode & modeDirectory) !== 0);
    this.#checkLink(stat);
    this.stats.push(stat);
    if (this.#options.asks !== 'at the end') this.#ask(stat, this.stats.length - 1);
  }

  #checkLink({ path, mode, linkname }: ReceivedStat): void {
    if ((mode & (modeDirectory | modeSymlink)) !== 0) return;
    if (linkname === '') this.#linkable.add(path);
    else if (!this.#linkable.has(linkname)) {
      throw new Error(`invalid link ${path} to unknown path: ${linkname}`);
    }
  }

  #ask(stat: ReceivedStat, id: number): void {
    if ((stat.mode & modeType) !== 0 || stat.linkname !== '') return;
    if (this.#options.wants?.(stat) === false) return;
    this.#expected.set(id, { path: stat.path, chunks: [] });
    this.request(id);
  }

  #takeData({ id, data }: ReceivedPacket): void {
    const file = this.#expected.get(id);
    if (file === undefined) throw new Error(`content came for file id ${id}, which nobody wants`);
    if (data.length === 0) {
      this.#expected.delete(id);
      this.files.set(file.path, Buffer.concat(file.chunks));
    } else {
      this.dataPackets += 1;
      file.chunks.push(data);
    }
  }

  #finishIfComplete(): void {
    if (!this.#listed || this.#expected.size > 0 || this.#finished) return;
    if (this.error !== undefined) return;
    if (!this.#saidFin) this.say(Buffer.from([0x08, packetType.fin]));
    this.#saidFin = true;
  }
}

/** Depth first, folders before what is in them, siblings in the order of their bytes. */
class OrderCheck {
  /** Folders from the root to the one that is being listed, each with its last child. */
  readonly #open: { readonly path: string; last: string }[] = [{ path: '', last: '' }];

  check(path: string, isDirectory: boolean): void {
    const elements = path.split('/');
    if (elements.some((element) => element === '' || element === '.' || element === '..')) {
      throw new Error(`unclean path ${JSON.stringify(path)}`);
    }
    const name = elements.pop() ?? '';
    const parentPath = elements.join('/');
    while (this.#open.length > 1 && this.#open.at(-1)?.path !== parentPath) this.#open.pop();
    const parent = this.#open.at(-1);
    if (parent?.path !== parentPath || bytesOf(parent.last).compare(bytesOf(name)) >= 0) {
      throw new Error(`changes out of order: ${JSON.stringify(path)}`);
    }
    parent.last = name;
    if (isDirectory) this.#open.push({ path, last: '' });
  }
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

/** The fields of a message by number: numbers as bigint, the rest as bytes. */
function readFields(message: Buffer): Map<number, bigint | Buffer> {
  const fields = new Map<number, bigint | Buffer>();
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at);
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(number());
    const value = number();
    if ((tag & 7) === 0) {
      fields.set(tag >>> 3, value);
    } else if ((tag & 7) === 2) {
      const end = at + Number(value);
      if (end > message.length) throw new Error('field ends behind its message');
      fields.set(tag >>> 3, message.subarray(at, end));
      at = end;
    } else {
      throw new Error(`unexpected wire type ${tag & 7}`);
    }
  }
  return fields;
}

function readPacket(message: Buffer): ReceivedPacket {
  const fields = readFields(message);
  const stat = fields.get(2);
  return {
    type: Number(fields.get(1) ?? 0n),
    stat: stat === undefined ? undefined : readStat(readFields(stat as Buffer)),
    id: Number(fields.get(3) ?? 0n),
    data: (fields.get(4) as Buffer | undefined) ?? Buffer.alloc(0),
  };
}

function readStat(fields: Map<number, bigint | Buffer>): ReceivedStat {
  const number = (field: number): bigint => (fields.get(field) as bigint | undefined) ?? 0n;
  const bytes = (field: number): string =>
    ((fields.get(field) as Buffer | undefined) ?? Buffer.alloc(0)).toString('latin1');
  if (fields.has(10)) throw new Error('no extended attributes were expected');
  return {
    path: bytes(1),
    mode: Number(number(2)),
    uid: Number(number(3)),
    gid: Number(number(4)),
    size: number(5),
    modTime: BigInt.asIntN(64, number(6)),
    linkname: bytes(7),
    devmajor: number(8),
    devminor: number(9),
  };
}
