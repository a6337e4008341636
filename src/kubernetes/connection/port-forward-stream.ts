import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { messageOf } from '../../shared/errors.ts';
import { maxFrameBytes } from '../exec/exec-codec.ts';
import { patienceWith, writeFrames } from '../exec/frame-socket.ts';
import { Heartbeat } from '../exec/heartbeat.ts';
import type { PortForwardCodec, PortForwardEvent } from './port-forward-codec.ts';
import { WayFailure } from './way-failure.ts';

export interface PortForwardStreamOptions {
  readonly socket: Socket;
  readonly codec: PortForwardCodec;
  /** Names pod and port in messages. */
  readonly whom: string;
  /** A peer is dead after two of them without a byte. */
  readonly pingIntervalMs: number;
}

type WriteCallback = (error?: Error | null) => void;

/** Most that is kept of what the node complains about. */
const maxComplaintBytes = 4096;

/** How long the end of the port waits for what the node may say about it. */
const complaintGraceMs = 200;

/** The same once the node has begun to speak. */
const speakingGraceMs = 10;

const noBytes = Buffer.alloc(0);

/**
 * A port of a pod as one stream of bytes.
 *
 * It has no half-close, and no end but an error, which comes after what the far side had sent: a
 * `WayFailure` of kind `not-listening` when nobody listens on the port, else `CONNECTION_CLOSED`.
 */
export class PortForwardStream extends Duplex {
  readonly #socket: Socket;
  readonly #codec: PortForwardCodec;
  readonly #whom: string;
  readonly #heartbeat: Heartbeat;
  #complaint = noBytes;
  #endTimer: NodeJS.Timeout | undefined;
  #waitingWrite: WriteCallback | undefined;
  /** The error to end with once everything before it was read. */
  #failure: WayFailure | undefined;

  /** Takes the socket over, with the bytes that had already come from it. */
  constructor(options: PortForwardStreamOptions, head: Buffer = noBytes) {
    super({ allowHalfOpen: false, writableHighWaterMark: maxFrameBytes });
    this.#socket = options.socket;
    this.#codec = options.codec;
    this.#whom = options.whom;
    this.#heartbeat = new Heartbeat({
      intervalMs: options.pingIntervalMs,
      ping: () => this.#socket.write(this.#codec.ping()),
      patience: () => patienceWith(this.#socket),
      onDead: (silentMs) => {
        this.#end(`no sign of life for ${silentMs / 1000} s`);
      },
    });
    this.#listen(head);
  }

  /** Bytes that went out on the connection, headers and frames included. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  /** The same for what came. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  override _read(): void {
    if (this.#failure === undefined) {
      this.#socket.resume();
    } else if (this.readableLength === 0) {
      this.destroy(this.#failure);
    } else {
      // An empty push lets the stream ask again, after what is buffered.
      this.push(noBytes);
    }
  }

  override _writev(chunks: readonly { readonly chunk: unknown }[], callback: WriteCallback): void {
    if (this.#failure !== undefined) {
      callback(this.#failure);
      return;
    }
    writeFrames(this.#socket, this.#codec.send(chunks.map(({ chunk }) => chunk as Buffer)));
    if (this.#socket.writableNeedDrain) this.#waitingWrite = callback;
    // Not at once: what else is written in this tick comes as one batch.
    else process.nextTick(callback);
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#heartbeat[Symbol.dispose]();
    clearTimeout(this.#endTimer);
    this.#socket.destroy();
    this.#releaseWrite(error ?? new Error(`the connection to ${this.#whom} was closed here`));
    callback(error);
  }

  #listen(head: Buffer): void {
    const socket = this.#socket;
    let cause: Error | undefined;
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('drain', () => {
      this.#heartbeat.alive();
      this.#releaseWrite();
    });
    socket.on('error', (error) => {
      cause = error;
    });
    socket.on('close', () => {
      this.#end(cause === undefined ? 'the connection was closed' : messageOf(cause), cause);
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 15_000);
    writeFrames(socket, this.#codec.opening());
    if (head.length > 0) this.#receive(head);
    socket.resume();
  }

  #releaseWrite(error?: Error): void {
    const callback = this.#waitingWrite;
    this.#waitingWrite = undefined;
    callback?.(error);
  }

  #receive(chunk: Buffer): void {
    this.#heartbeat.alive();
    try {
      for (const event of this.#codec.receive(chunk)) {
        if (this.destroyed || this.#failure !== undefined) return;
        this.#take(event);
      }
    } catch (error) {
      this.#end(`the server broke the protocol: ${messageOf(error)}`, error);
    }
  }

  #take(event: PortForwardEvent): void {
    switch (event.kind) {
      case 'data':
        if (!this.push(event.data)) this.#socket.pause();
        return;
      case 'complaint':
        this.#complaint = Buffer.concat([this.#complaint, event.data]).subarray(
          0,
          maxComplaintBytes,
        );
        this.#endSoon('the node gave it up', speakingGraceMs);
        return;
      case 'reply':
        this.#socket.write(event.bytes);
        return;
      case 'ended':
        this.#endSoon(event.detail, this.#complaint.length > 0 ? 0 : complaintGraceMs);
    }
  }

  /** The reason may be in pieces, or come after the end. */
  #endSoon(detail: string, graceMs: number): void {
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => {
      this.#end(detail);
    }, graceMs);
  }

  #end(detail: string, cause?: unknown): void {
    if (this.destroyed || this.#failure !== undefined) return;
    const failure = this.#failureOf(detail, cause);
    this.#failure = failure;
    this.#heartbeat[Symbol.dispose]();
    this.#socket.destroy();
    const writing = this.#waitingWrite !== undefined;
    this.#releaseWrite(failure);
    if (writing || this.readableLength === 0) this.destroy(failure);
  }

  #failureOf(detail: string, cause: unknown): WayFailure {
    const complaint = this.#complaint.toString().trim();
    if (/connection refused/i.test(complaint)) {
      return new WayFailure('not-listening', `nothing listens at ${this.#whom}`, {
        cause: new Error(complaint),
      });
    }
    const said = complaint === '' ? '' : `; the node said: ${complaint}`;
    return new WayFailure('passing', `the forwarding to ${this.#whom} ended, ${detail}${said}`, {
      code: 'CONNECTION_CLOSED',
      hint: 'The pod may have been deleted or restarted, or something on the way to it cut the connection.',
      cause,
    });
  }
}
