import { constants, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';

import type {
  ChannelInterface,
  Deadline,
  InterceptingListener,
  Metadata,
  StatusObject,
} from '@grpc/grpc-js';

import { messageOf } from '../shared/errors.ts';
import {
  frameHeader,
  GrpcFrameParser,
  GrpcFramingError,
  maxGrpcMessageBytes,
} from '../shared/grpc-framing.ts';
import {
  localStatus,
  metadataFromHeaders,
  resetMeaning,
  responseProblem,
  statusFromHeaders,
} from './grpc-status.ts';
import { Status as grpcStatus } from './grpc-stubs.ts';

/** What grpc-js asks of a call; the package does not export the name. */
export type GrpcCall = ReturnType<ChannelInterface['createCall']>;

type MessageContext = Parameters<GrpcCall['sendMessageWithContext']>[0];
type WriteCallback = NonNullable<MessageContext['callback']>;

/** The connection as one call sees it. */
export interface CallTransport {
  /** Opens a stream; throws once the connection takes no new ones. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream;
  /** Why the connection is no more; undefined while it stands. */
  lost(): Error | undefined;
  readonly target: string;
}

/** Settings of one call. */
export interface CallOptions {
  /** Full path, such as `/moby.buildkit.v1.Control/Info`. */
  readonly method: string;
  readonly deadline: Deadline;
  /** Whether the answer is exactly one message. */
  readonly unary: boolean;
}

/** Cheaper to copy than to write apart from its header. */
const smallMessageBytes = 16 * 1024;

/** Longer timers overflow in Node and fire at once. */
const maxTimerMs = 0x7fffffff;

/**
 * One gRPC call on a stream of `node:http2`, driven by the client stubs of grpc-js.
 *
 * Messages are handed out one per `startRead`, and the stream is paused meanwhile, so that an
 * unread call stops its sender. The status comes last, after every message that was received.
 */
export class Http2Call implements GrpcCall {
  readonly #transport: CallTransport;
  readonly #options: CallOptions;
  readonly #parser = new GrpcFrameParser();
  readonly #openWrites = new Set<WriteCallback>();
  #listener: InterceptingListener | undefined;
  #stream: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #streamError: Error | undefined;
  /** Messages that the stub asked for and has not got. */
  #wantedReads = 0;
  #delivered = 0;
  /** Parsed ahead of the stub's reads, to know whether to pause. */
  #nextMessage: Buffer | undefined;
  /** Data can come before `response` is emitted; it is not looked at until then. */
  #accepted = false;
  /** The daemon's verdict, once it is known. */
  #verdict: StatusObject | undefined;
  /** What the stub is told after the last message. */
  #outcome: StatusObject | undefined;
  #finished = false;

  constructor(transport: CallTransport, options: CallOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#listener = listener;
    const leftMs = deadlineMs(this.#options.deadline) - Date.now();
    if (this.#outcome !== undefined) {
      process.nextTick(() => {
        this.#deliver();
      });
    } else if (leftMs <= 0) {
      process.nextTick(() => {
        this.#exceedDeadline();
      });
    } else {
      this.#open(metadata, leftMs);
    }
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    const done = context.callback ?? (() => undefined);
    const stream = this.#stream;
    if (this.#finished || stream === undefined) {
      process.nextTick(done);
      return;
    }
    if (message.length > maxGrpcMessageBytes) {
      const size = `${message.length} bytes exceeds the limit of ${maxGrpcMessageBytes} bytes`;
      const code = grpcStatus.RESOURCE_EXHAUSTED;
      process.nextTick(() => {
        this.#finish(localStatus('protocol', code, `request of ${size}`));
        done();
      });
      return;
    }
    this.#openWrites.add(done);
    const written = (): void => {
      if (this.#openWrites.delete(done)) done();
    };
    const header = frameHeader(message.length);
    if (message.length < smallMessageBytes) {
      // One write, and never an empty one: node:http2 does not finish a stream after that.
      stream.write(Buffer.concat([header, message]), written);
      return;
    }
    stream.cork();
    stream.write(header);
    stream.write(message, written);
    stream.uncork();
  }

  startRead(): void {
    this.#wantedReads += 1;
    this.#deliver();
  }

  halfClose(): void {
    this.#stream?.end();
  }

  cancelWithStatus(code: grpcStatus, details: string): void {
    this.#finish(localStatus('canceled', code, details));
  }

  getPeer(): string {
    return this.#transport.target;
  }

  getCallNumber(): number {
    return this.#stream?.id ?? 0;
  }

  setCredentials(): void {
    // The byte stream itself is what is authenticated.
  }

  getAuthContext(): null {
    return null;
  }

  #open(metadata: Metadata, leftMs: number): void {
    try {
      this.#stream = this.#transport.request({
        ...metadata.toHttp2Headers(),
        ':method': 'POST',
        ':path': this.#options.method,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(Number.isFinite(leftMs) ? { 'grpc-timeout': timeoutHeader(leftMs) } : {}),
      });
    } catch (error) {
      process.nextTick(() => {
        this.#finish(this.#lostStatus(error));
      });
      return;
    }
    if (Number.isFinite(leftMs)) this.#armDeadline();
    this.#listen(this.#stream);
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('response', (_headers, _flags, rawHeaders: string[]) => {
      this.#onResponse(rawHeaders);
    });
    stream.on('data', (chunk: Buffer) => {
      if (this.#finished) return;
      this.#parser.push(chunk);
      this.#deliver();
    });
    stream.on('trailers', (_headers, _flags, rawHeaders: string[]) => {
      this.#verdict ??= statusFromHeaders(rawHeaders);
      // Everything is here by now, and a paused stream would never end.
      stream.resume();
    });
    stream.on('end', () => {
      // Node may emit `end` one tick before the trailers that ended the stream.
      setImmediate(() => {
        this.#conclude();
      });
    });
    stream.on('error', (error) => {
      this.#streamError ??= error;
    });
    stream.on('close', () => {
      this.#conclude();
    });
  }

  #onResponse(rawHeaders: readonly string[]): void {
    if (this.#finished) return;
    this.#verdict = statusFromHeaders(rawHeaders);
    if (this.#verdict !== undefined) return;
    const problem = responseProblem(rawHeaders);
    if (problem !== undefined) {
      this.#finish(problem);
      return;
    }
    this.#accepted = true;
    this.#listener?.onReceiveMetadata(metadataFromHeaders(rawHeaders));
    this.#deliver();
  }

  /** Hands out messages as far as they are asked for, then the outcome. */
  #deliver(): void {
    while (!this.#finished && this.#readAhead()) {
      if (this.#options.unary && this.#delivered > 0) {
        this.#finish(
          localStatus('protocol', grpcStatus.INTERNAL, 'second message on a unary call'),
        );
        return;
      }
      if (this.#wantedReads === 0) {
        if (this.#verdict === undefined) this.#stream?.pause();
        return;
      }
      this.#handOut();
    }
    if (this.#finished) return;
    if (this.#outcome !== undefined) this.#finish(this.#checked(this.#outcome));
    else this.#stream?.resume();
  }

  #handOut(): void {
    const message = this.#nextMessage;
    this.#nextMessage = undefined;
    this.#wantedReads -= 1;
    this.#delivered += 1;
    this.#listener?.onReceiveMessage(message);
  }

  /** Whether a whole message is at hand. */
  #readAhead(): boolean {
    if (!this.#accepted) return false;
    try {
      this.#nextMessage ??= this.#parser.next();
    } catch (error) {
      this.#finish(framingStatus(error));
    }
    return this.#nextMessage !== undefined;
  }

  /** An OK that leaves half a message behind would lose it silently. */
  #checked(outcome: StatusObject): StatusObject {
    if (outcome.code !== grpcStatus.OK) return outcome;
    try {
      this.#parser.finish();
      return outcome;
    } catch (error) {
      return framingStatus(error);
    }
  }

  /** The stream is over: settles what the stub will be told once it has read everything. */
  #conclude(): void {
    if (this.#finished || this.#outcome !== undefined) return;
    this.#outcome = this.#verdict ?? this.#endWithoutVerdict();
    this.#deliver();
  }

  #endWithoutVerdict(): StatusObject {
    const resetCode = this.#stream?.rstCode ?? constants.NGHTTP2_NO_ERROR;
    // A peer that is going away resets with code 0, or not at all, before the connection ends.
    if (this.#transport.lost() !== undefined || resetCode === constants.NGHTTP2_NO_ERROR) {
      return this.#lostStatus(this.#streamError);
    }
    const { name, code } = resetMeaning(resetCode);
    const kind = resetCode === constants.NGHTTP2_REFUSED_STREAM ? 'lost' : 'reset';
    return localStatus(kind, code, `stream was reset with ${name}`, this.#streamError);
  }

  #lostStatus(error: unknown): StatusObject {
    const cause = this.#transport.lost() ?? error;
    const reason = cause === undefined ? 'call ended without a gRPC status' : messageOf(cause);
    return localStatus('lost', grpcStatus.UNAVAILABLE, reason, cause);
  }

  #armDeadline(): void {
    const leftMs = deadlineMs(this.#options.deadline) - Date.now();
    if (leftMs <= 0) {
      this.#exceedDeadline();
      return;
    }
    this.#timer = setTimeout(
      () => {
        this.#armDeadline();
      },
      Math.min(leftMs, maxTimerMs),
    );
  }

  #exceedDeadline(): void {
    this.#finish(
      localStatus('deadline', grpcStatus.DEADLINE_EXCEEDED, 'no answer before the deadline'),
    );
  }

  #finish(outcome: StatusObject): void {
    if (this.#finished) return;
    if (this.#listener === undefined) {
      this.#outcome ??= outcome;
      return;
    }
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#closeStream(outcome === this.#verdict);
    // Nothing of a finished call may hold back the connection.
    this.#stream?.resume();
    for (const done of this.#openWrites) done();
    this.#openWrites.clear();
    this.#listener.onReceiveStatus(outcome);
  }

  /** Tells the daemon to stop, unless it has: then a stream that we have ended closes by itself. */
  #closeStream(endedWell: boolean): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed) return;
    if (!endedWell) stream.close(constants.NGHTTP2_CANCEL);
    // Closing one that is about to close by itself keeps it from ever being reported closed.
    else if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

function deadlineMs(deadline: Deadline): number {
  return deadline instanceof Date ? deadline.getTime() : deadline;
}

/** `grpc-timeout` has at most eight digits. */
function timeoutHeader(leftMs: number): string {
  const ms = Math.max(1, Math.ceil(leftMs));
  return ms < 100_000_000 ? `${ms}m` : `${Math.min(99_999_999, Math.ceil(ms / 1000))}S`;
}

function framingStatus(error: unknown): StatusObject {
  const tooLarge = error instanceof GrpcFramingError && error.code === 'GRPC_MESSAGE_TOO_LARGE';
  return localStatus(
    'protocol',
    tooLarge ? grpcStatus.RESOURCE_EXHAUSTED : grpcStatus.INTERNAL,
    messageOf(error),
  );
}
