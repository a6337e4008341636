import { batches, type ExecCodec, type ExecEvent } from './exec-codec.ts';
import { type ExecStatus, parseExecStatus, StatusText } from './exec-status.ts';
import { type SpdyFrame, SpdyFrameReader, SpdyFrameWriter } from './spdy-frames.ts';

const stream = { error: 1, stdin: 3, stdout: 5, stderr: 7 } as const;

/**
 * `v4.channel.k8s.io` over SPDY/3.1: four streams, opened in the order in which kubectl does.
 *
 * Flow control is absent, as in every Kubernetes server: back-pressure is TCP's.
 */
export class SpdyExec implements ExecCodec {
  readonly protocol = 'spdy';
  readonly #writer = new SpdyFrameWriter();
  readonly #reader = new SpdyFrameReader();
  readonly #unanswered = new Set<number>(Object.values(stream));
  readonly #status = new StatusText();
  #opened = false;
  /** Odd: even ones are the server's. */
  #pingId = 1;

  opening(): readonly Uint8Array[] {
    return Object.entries(stream).map(([streamtype, id]) =>
      this.#writer.synStream(id, { streamtype }),
    );
  }

  receive(chunk: Buffer): ExecEvent[] {
    return this.#reader.read(chunk).flatMap((frame) => this.#take(frame));
  }

  stdin(chunks: readonly Buffer[]): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const { sizeBytes, parts } of batches(chunks)) {
      frames.push(this.#writer.dataHeader(stream.stdin, sizeBytes), ...parts);
    }
    return frames;
  }

  endStdin(): readonly Uint8Array[] {
    return [this.#writer.dataHeader(stream.stdin, 0, true)];
  }

  ping(): Uint8Array {
    const id = this.#pingId;
    this.#pingId = (this.#pingId + 2) & 0x7fffffff;
    return this.#writer.ping(id);
  }

  #take(frame: SpdyFrame): ExecEvent[] {
    switch (frame.kind) {
      case 'reply':
        this.#unanswered.delete(frame.streamId);
        return this.#unanswered.size === 0 ? this.#open() : [];
      case 'data':
        return this.#takeData(frame);
      case 'reset':
        return this.#takeReset(frame);
      case 'ping':
        return frame.id % 2 === 0 ? [{ kind: 'reply', bytes: this.#writer.ping(frame.id) }] : [];
      case 'goaway':
        // The streams that exist live on; the end of the connection follows by itself.
        return [];
    }
  }

  #takeData({ streamId, data, whole, fin }: SpdyFrame & { kind: 'data' }): ExecEvent[] {
    switch (streamId) {
      case stream.stdout:
        // A process that writes has all its streams, whichever reply is still on its way.
        return data.length === 0 ? [] : [...this.#open(), { kind: 'stdout', data }];
      case stream.stderr:
        return data.length === 0 ? [] : [...this.#open(), { kind: 'stderr', data }];
      case stream.error:
        this.#status.append(data);
        return whole ? this.#takeStatus(fin) : [];
      default:
        return [];
    }
  }

  #takeReset({ streamId, statusCode }: SpdyFrame & { kind: 'reset' }): ExecEvent[] {
    if (!this.#opened) {
      return [{ kind: 'ended', detail: `stream ${streamId} was refused with code ${statusCode}` }];
    }
    return streamId === stream.error ? this.#takeStatus(true) : [];
  }

  /** Servers older than v4 end with plain text, which is known to be whole only at the end. */
  #takeStatus(last: boolean): ExecEvent[] {
    const message = this.#status.text;
    if (message === '') return [];
    const status: ExecStatus | undefined =
      parseExecStatus(message) ??
      (last ? { kind: 'failed', reason: 'Unknown', message } : undefined);
    if (status === undefined) return [];
    this.#status.clear();
    return [...this.#open(), { kind: 'status', status }];
  }

  #open(): ExecEvent[] {
    if (this.#opened) return [];
    this.#opened = true;
    return [{ kind: 'opened' }];
  }
}
