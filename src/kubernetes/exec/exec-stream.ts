import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { type ErrorDetails, messageOf } from '../../shared/errors.ts';
import { KubernetesError } from '../errors.ts';
import { type ExecCodec, type ExecEvent, type ExecProtocol, maxFrameBytes } from './exec-codec.ts';
import type { ExecStatus } from './exec-status.ts';
import { patienceWith, writeFrames } from './frame-socket.ts';
import { Heartbeat } from './heartbeat.ts';
import { describePod, type ExecSubject } from './refusals.ts';

export interface ExecStreamOptions {
  readonly socket: Socket;
  readonly codec: ExecCodec;
  readonly subject: ExecSubject;
  readonly pingIntervalMs: number;
}

type WriteCallback = (error?: Error | null) => void;

/** Most stderr that is kept to explain a failure. */
const maxStderrBytes = 4096;

/** How long a status may wait for the end of its connection. */
const statusGraceMs = 1000;

const noBytes = Buffer.alloc(0);

/**
 * Stdin and stdout of a command in a container, as one stream of bytes.
 *
 * Reading ends when the command has ended with exit code 0; any other end is an error
 * (`EXEC_FAILED`, or `EXEC_CLOSED` when the connection was lost), given after what the command
 * had written. `end()` closes stdin, except over `websocket-v4`, which cannot: there the stream
 * closes when the command ends by itself. `destroy()` cuts the connection.
 */
export class ExecStream extends Duplex {
  readonly protocol: ExecProtocol;
  /** Rejects with the error of the stream when no status came. */
  readonly exit: Promise<ExecStatus>;
  /** Resolves once the far side has taken the exec; rejects with the error of the stream. */
  readonly opened: Promise<void>;

  readonly #socket: Socket;
  readonly #codec: ExecCodec;
  readonly #subject: ExecSubject;
  readonly #heartbeat: Heartbeat;
  readonly #exit = Promise.withResolvers<ExecStatus>();
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers();
  #stderr = noBytes;
  #bytesRead = 0;
  #status: ExecStatus | undefined;
  #statusTimer: NodeJS.Timeout | undefined;
  #waitingWrite: WriteCallback | undefined;
  /** Why nothing more goes out; set once the far side has ended. */
  #over: KubernetesError | undefined;
  /** The error to end with once everything before it was read. */
  #failure: KubernetesError | undefined;

  /** Takes the socket over, with the bytes that had already come from it. */
  constructor(options: ExecStreamOptions, head: Buffer = noBytes) {
    // Once the command has ended there is nobody left to write to.
    super({ allowHalfOpen: false, writableHighWaterMark: maxFrameBytes });
    this.#socket = options.socket;
    this.#codec = options.codec;
    this.#subject = options.subject;
    this.protocol = options.codec.protocol;
    this.exit = this.#exit.promise;
    this.opened = this.#opened.promise;
    // Nobody has to wait for these two.
    this.exit.catch(() => undefined);
    this.opened.catch(() => undefined);
    this.#heartbeat = new Heartbeat({
      intervalMs: options.pingIntervalMs,
      ping: () => this.#socket.write(this.#codec.ping()),
      patience: () => patienceWith(this.#socket),
      onDead: (silentMs) => this.destroy(this.#lost(`no sign of life for ${silentMs / 1000} s`)),
    });
    this.#listen(head);
  }

  /** The last 4 KiB that the command wrote to stderr. */
  get stderr(): string {
    return this.#stderr.toString().trim();
  }

  /** Bytes that went out on the connection, headers and frames included. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  /** Bytes that the command has written; frames and replies of the servers between do not count. */
  get bytesRead(): number {
    return this.#bytesRead;
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
    this.#send(this.#codec.stdin(chunks.map(({ chunk }) => chunk as Buffer)), callback);
  }

  override _final(callback: WriteCallback): void {
    if (this.#over === undefined) this.#send(this.#codec.endStdin(), callback);
    else callback();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#heartbeat[Symbol.dispose]();
    clearTimeout(this.#statusTimer);
    const reason = error ?? this.#closed('its connection was closed on this side');
    this.#opened.reject(reason);
    this.#exit.reject(reason);
    // Lets a last reply out; what the far side no longer takes goes with the connection.
    if (this.#over === undefined) this.#socket.destroy();
    else this.#socket.destroySoon();
    this.#releaseWrite(reason);
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
    const opening = this.#codec.opening();
    if (opening.length === 0) this.#opened.resolve();
    this.#send(opening, () => undefined);
    if (head.length > 0) this.#receive(head);
    socket.resume();
  }

  /** Writes one frame or more at once; calls back when there is room for the next. */
  #send(frames: readonly Uint8Array[], callback: WriteCallback): void {
    if (this.#over !== undefined) {
      callback(this.#over);
      return;
    }
    writeFrames(this.#socket, frames);
    if (this.#socket.writableNeedDrain) {
      this.#waitingWrite = callback;
    } else {
      // Not at once: what else is written in this tick comes as one batch.
      process.nextTick(callback);
    }
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
        if (this.destroyed || this.#over !== undefined) return;
        this.#take(event);
      }
    } catch (error) {
      this.destroy(this.#lost(`the server broke the protocol: ${messageOf(error)}`, error));
    }
  }

  #take(event: ExecEvent): void {
    switch (event.kind) {
      case 'opened':
        this.#opened.resolve();
        return;
      case 'stdout':
        this.#bytesRead += event.data.length;
        if (!this.push(event.data)) this.#socket.pause();
        return;
      case 'stderr':
        this.#stderr = Buffer.concat([this.#stderr, event.data]).subarray(-maxStderrBytes);
        return;
      case 'status':
        this.#takeStatus(event.status);
        return;
      case 'reply':
        this.#socket.write(event.bytes);
        return;
      case 'ended':
        this.#end(event.detail);
    }
  }

  /** The connection ends right after the status; a server that leaves it open is not waited for. */
  #takeStatus(status: ExecStatus): void {
    this.#status = status;
    this.#exit.resolve(status);
    this.#statusTimer = setTimeout(() => {
      this.#end('the command has ended');
    }, statusGraceMs).unref();
  }

  #end(detail: string, cause?: Error): void {
    if (this.destroyed || this.#over !== undefined) return;
    const failure =
      this.#status === undefined ? this.#lost(detail, cause) : this.#failureOf(this.#status);
    this.#heartbeat[Symbol.dispose]();
    this.#over = failure ?? this.#closed('it ended before it had read all its input');
    this.#opened.reject(this.#over);
    this.#exit.reject(this.#over);
    const writing = this.#waitingWrite !== undefined;
    this.#releaseWrite(this.#over);
    if (failure === undefined) {
      this.push(null);
      this.#socket.destroySoon();
    } else if (writing || this.readableLength === 0) {
      this.destroy(failure);
    } else {
      this.#failure = failure;
      this.#socket.destroySoon();
    }
  }

  #failureOf(status: ExecStatus): KubernetesError | undefined {
    if (status.kind === 'exited' && status.exitCode === 0) return undefined;
    const how =
      status.kind === 'exited'
        ? `ended with ${describeExitCode(status.exitCode)}`
        : `could not be run (${status.reason}): ${status.message}`;
    return new KubernetesError('EXEC_FAILED', `${this.#command()} ${how}${this.#stderrNote()}`, {
      hint:
        status.kind === 'exited'
          ? 'The command ran in the pod and failed there; the log of the pod may say more.'
          : 'The container must be running, and its image must have this command.',
    });
  }

  #lost(detail: string, cause?: unknown): KubernetesError {
    return this.#closed(`its connection was lost, ${detail}`, {
      hint: 'The pod may have been deleted or restarted, or something on the way to it cut the connection.',
      cause,
    });
  }

  #closed(detail: string, details: ErrorDetails = {}): KubernetesError {
    const message = `${this.#command()}: ${detail}${this.#stderrNote()}`;
    return new KubernetesError('EXEC_CLOSED', message, details);
  }

  #command(): string {
    return `"${this.#subject.command.join(' ')}" in ${describePod(this.#subject)}`;
  }

  #stderrNote(): string {
    return this.stderr === '' ? '' : `; it wrote: ${this.stderr}`;
  }
}

/** Shells and runtimes tell a signal as 128 and its number. */
function describeExitCode(exitCode: number): string {
  const signal = exitCode > 128 && exitCode < 160 ? `, killed by signal ${exitCode - 128}` : '';
  return `exit code ${exitCode}${signal}`;
}
