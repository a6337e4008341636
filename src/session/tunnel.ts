import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { Duplex } from 'node:stream';
import { frameHeader, GrpcFrameParser } from '../shared/grpc-framing.ts';
import { bytesMessageData, bytesMessageHeader } from '../wire/payload-frames.ts';
import { grpcStatus, SessionError } from './errors.ts';
import { readStatus } from './grpc-status.ts';

/**
 * Opens the bidirectional RPC `moby.buildkit.v1.Control/Session` with these request headers.
 *
 * Repeated names must go out as separate header fields, in order. The stream is given back raw, as
 * soon as the request is sent: the daemon answers only once it has bytes for us. `signal` is for
 * the opening; later the stream is closed by whoever serves it.
 */
export type SessionDialer = (
  metadata: readonly (readonly [name: string, value: string])[],
  signal: AbortSignal,
) => Promise<ClientHttp2Stream>;

/** Data of one BytesMessage; larger ones save no work and wait longer for the window. */
const maxDataBytes = 1024 * 1024;

/** Bytes handed to the RPC and not yet taken by its flow control; enough to keep it busy. */
const maxInFlightBytes = 1024 * 1024;

/**
 * Below this average size one copy is cheaper than many writes: the HTTP/2 of Node takes each piece
 * of a frame, its own 9 bytes too, as a buffer, and on a stream that is no socket copies every one.
 */
const minPieceBytes = 4 * 1024;

const readableHighWaterMark = 256 * 1024;

type WriteCallback = (error?: Error | null) => void;

/**
 * The byte stream inside a `Control/Session` RPC: each way, the data of all messages in a row.
 *
 * Fails with `SessionError` `SESSION_TUNNEL_LOST` when the RPC ends with a status other than OK, or
 * with none, before our side was half-closed. Follows BuildKit `session/grpchijack`.
 */
export class TunnelStream extends Duplex {
  readonly #rpc: ClientHttp2Stream;
  readonly #parser = new GrpcFrameParser();
  readonly #incoming: (data: Buffer) => readonly Buffer[];
  #inFlightBytes = 0;
  /** Set while the writer waits for room. */
  #blocked: WriteCallback | undefined;
  /** Set once the answer was found good; data before that is not ours to read. */
  #accepted = false;
  /** Set once the RPC ended in a way that is no loss. */
  #rpcEnded = false;

  /** `incoming` may cut and change what comes before it is read; default: as it came. */
  constructor(
    rpc: ClientHttp2Stream,
    incoming: (data: Buffer) => readonly Buffer[] = (data) => [data],
  ) {
    // The end of the RPC ends both directions, so there is no half-open state to keep.
    super({ allowHalfOpen: false, readableHighWaterMark });
    this.#rpc = rpc;
    this.#incoming = incoming;
    rpc.on('response', (headers) => {
      this.#onResponse(headers);
    });
    rpc.on('trailers', (headers: IncomingHttpHeaders) => {
      this.#onStatus(headers);
    });
    rpc.on('end', () => {
      this.#onEnd();
    });
    rpc.on('error', (error) => {
      this.#lose('connection to the daemon failed', error);
    });
    rpc.on('close', () => {
      if (!this.#rpcEnded) this.#lose(`the stream was closed (HTTP/2 code ${rpc.rstCode})`);
    });
    if (rpc.destroyed) this.#lose('the stream was closed before it was used');
  }

  override _read(): void {
    if (this.#accepted) this.#rpc.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#send([chunk], callback);
  }

  override _writev(items: { chunk: Buffer }[], callback: WriteCallback): void {
    this.#send(
      items.map((item) => item.chunk),
      callback,
    );
  }

  override _final(callback: WriteCallback): void {
    this.#rpc.end(callback);
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#rpc.off('data', this.#onData);
    if (!this.#rpc.closed) this.#rpc.close(constants.NGHTTP2_CANCEL);
    this.#blocked?.(error);
    this.#blocked = undefined;
    callback(error);
  }

  #onResponse(headers: IncomingHttpHeaders): void {
    const status = headers[':status'];
    if (Number(status) !== 200) {
      this.#lose(`daemon answered with HTTP status ${String(status)}`);
    } else if (headers['grpc-status'] !== undefined) {
      this.#onStatus(headers);
    }
    if (this.destroyed) return;
    // Not earlier: data can come ahead of this event, and only a good answer has frames.
    this.#accepted = true;
    this.#rpc.on('data', this.#onData);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#parser.push(chunk);
    try {
      for (let next = this.#parser.next(); next !== undefined; next = this.#parser.next()) {
        for (const piece of this.#incoming(bytesMessageData(next))) {
          // An empty push would count as a read that found nothing.
          if (piece.length > 0 && !this.push(piece)) this.#rpc.pause();
        }
      }
    } catch (error) {
      this.#lose('daemon sent malformed data', error);
    }
  };

  #onStatus(headers: IncomingHttpHeaders): void {
    const { code, message } = readStatus(headers);
    if (code === grpcStatus.ok || this.writableEnded) {
      this.#rpcEnded = true;
      return;
    }
    this.#lose(`daemon ended it with gRPC status ${code}${message === '' ? '' : `: ${message}`}`);
  }

  #onEnd(): void {
    if (!this.#rpcEnded && !this.writableEnded) return;
    this.#rpcEnded = true;
    try {
      this.#parser.finish();
      this.push(null);
    } catch (error) {
      this.#lose('daemon sent malformed data', error);
    }
  }

  #lose(reason: string, cause?: unknown): void {
    if (this.destroyed || this.readableEnded) return;
    if (this.writableEnded) {
      this.destroy();
      return;
    }
    this.destroy(
      new SessionError('SESSION_TUNNEL_LOST', `session with the BuildKit daemon lost: ${reason}`, {
        cause,
      }),
    );
  }

  #send(chunks: readonly Buffer[], callback: WriteCallback): void {
    const messages = toMessages(chunks);
    const small = messages.flatMap((message) => [
      messageHeader(message.sizeBytes),
      ...message.pieces,
    ]);
    const sizeBytes = small.reduce((sum, piece) => sum + piece.length, 0);
    const pieces =
      sizeBytes < small.length * minPieceBytes ? [Buffer.concat(small, sizeBytes)] : small;
    if (sizeBytes === 0) {
      callback();
      return;
    }
    this.#inFlightBytes += sizeBytes;
    this.#rpc.cork();
    pieces.forEach((piece, index) => {
      if (index < pieces.length - 1) this.#rpc.write(piece);
      else {
        this.#rpc.write(piece, (error) => {
          this.#onSent(sizeBytes, error);
        });
      }
    });
    this.#rpc.uncork();
    if (this.#inFlightBytes <= maxInFlightBytes) callback();
    else this.#blocked = callback;
  }

  #onSent(sizeBytes: number, error: Error | null | undefined): void {
    this.#inFlightBytes -= sizeBytes;
    if (error) {
      this.#lose('daemon takes no more data', error);
      return;
    }
    const blocked = this.#blocked;
    if (blocked === undefined || this.#inFlightBytes > maxInFlightBytes) return;
    this.#blocked = undefined;
    blocked();
  }
}

interface DataMessage {
  readonly pieces: Buffer[];
  sizeBytes: number;
}

/**
 * Spreads chunks over messages that have at least one byte and at most `maxDataBytes`.
 *
 * A message without data must never be sent: the daemon decodes into a buffer that it does not
 * clear, and would read 32 KiB of old bytes instead.
 */
function toMessages(chunks: readonly Buffer[]): DataMessage[] {
  const messages: DataMessage[] = [];
  let open: DataMessage | undefined;
  for (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length;) {
      if (open === undefined || open.sizeBytes === maxDataBytes) {
        open = { pieces: [], sizeBytes: 0 };
        messages.push(open);
      }
      const piece = chunk.subarray(offset, offset + maxDataBytes - open.sizeBytes);
      open.pieces.push(piece);
      open.sizeBytes += piece.length;
      offset += piece.length;
    }
  }
  return messages;
}

/** What goes before `sizeBytes` bytes of data, the header of the gRPC frame first. */
function messageHeader(sizeBytes: number): Buffer {
  const header = bytesMessageHeader(sizeBytes);
  return Buffer.concat([frameHeader(header.length + sizeBytes), header]);
}
