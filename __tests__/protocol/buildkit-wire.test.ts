import { describe, expect, it } from '@jest/globals';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import { BuildkitError } from '../../src/buildkit/errors.ts';
import { Http2Channel } from '../../src/buildkit/http2-channel.ts';
import { SolveRequest } from '../../src/wire/gen/control.ts';
import { encode, FakeBuildkitd, grpcFrame } from '../fakes/fake-buildkitd.ts';
import { okHeaders, RawHttp2Server, type RawRequest } from '../fakes/raw-http2.ts';

const never = new AbortController().signal;
const ok = { 'grpc-status': '0' };
const infoFrame = grpcFrame(
  encode('moby.buildkit.v1.InfoResponse', { buildkitVersion: { version: 'v1' } }),
);
const solveFrame = grpcFrame(
  encode('moby.buildkit.v1.SolveResponse', { ExporterResponse: { a: 'b' } }),
);
const logFrame = (text: string): Buffer =>
  grpcFrame(encode('moby.buildkit.v1.StatusResponse', { logs: [{ msg: Buffer.from(text) }] }));

function answerInfo(call: RawRequest): void {
  call.send(call.headers(okHeaders), call.data(infoFrame), call.headers(ok, { end: true }));
}

/** The outcome of `run` on a connection whose first RPC after `Info` is answered by `answer`. */
async function outcomeOf(
  answer: (request: RawRequest) => void,
  run: (connection: BuildkitConnection) => Promise<unknown> = async (connection) =>
    await connection.solve(SolveRequest.fromPartial({}), never),
): Promise<unknown> {
  await using server = await RawHttp2Server.start((request) => {
    if (request.index === 0) answerInfo(request);
    else answer(request);
  });
  await using connection = await BuildkitConnection.open(server.dial, never, {
    callTimeoutMs: 2000,
  });
  return await run(connection).catch((error: unknown) => error);
}

const readStatus =
  (seen: string[]) =>
  async (connection: BuildkitConnection): Promise<void> => {
    for await (const status of connection.status('r', never)) {
      seen.push(String(status.logs[0]?.msg));
    }
  };

describe('an answer of the daemon', () => {
  it('may come whole in one read, data right behind the headers', async () => {
    // `open` has read such an answer already.
    const outcome = await outcomeOf((call) => {
      call.send(call.headers(okHeaders), call.data(solveFrame), call.headers(ok, { end: true }));
    });
    expect(outcome).toMatchObject({ ExporterResponse: { a: 'b' } });
  });

  it('counts although the connection ends with it', async () => {
    const outcome = await outcomeOf((call) => {
      call.socket.end(
        Buffer.concat([
          call.headers(okHeaders),
          call.data(solveFrame),
          call.headers(ok, { end: true }),
        ]),
      );
    });
    expect(outcome).toMatchObject({ ExporterResponse: { a: 'b' } });
  });

  it('may be split anywhere', async () => {
    const outcome = await outcomeOf((call) => {
      const bytes = Buffer.concat([
        call.headers(okHeaders),
        call.data(solveFrame.subarray(0, 3)),
        call.data(solveFrame.subarray(3)),
        call.headers(ok, { end: true }),
      ]);
      void (async () => {
        for (const byte of bytes) {
          call.socket.write(Buffer.from([byte]));
          await new Promise(setImmediate);
        }
      })();
    });
    expect(outcome).toMatchObject({ ExporterResponse: { a: 'b' } });
  });

  it('is an error when it ends with OK in the middle of a message', async () => {
    const seen: string[] = [];
    const outcome = await outcomeOf((call) => {
      const cut = logFrame('second').subarray(0, -1);
      call.send(
        call.headers(okHeaders),
        call.data(Buffer.concat([logFrame('first'), cut])),
        call.headers(ok, { end: true }),
      );
    }, readStatus(seen));
    expect(outcome).toMatchObject({ code: 'BUILDKIT_PROTOCOL' });
    expect((outcome as Error).message).toContain('gRPC stream ended after');
    expect(seen).toEqual(['first']);
  });

  it('is an error when it has two messages where one is due', async () => {
    const outcome = await outcomeOf((call) => {
      call.send(
        call.headers(okHeaders),
        call.data(Buffer.concat([solveFrame, solveFrame])),
        call.headers(ok, { end: true }),
      );
    });
    expect(outcome).toMatchObject({ code: 'BUILDKIT_PROTOCOL' });
  });

  it.each([
    { name: 'is compressed', bytes: Buffer.from([1, 0, 0, 0, 1, 9]), text: 'compression flag 1' },
    { name: 'is too large', bytes: Buffer.from([0, 0xff, 0, 0, 0]), text: 'exceeds the limit' },
    { name: 'is no message', bytes: grpcFrame(Buffer.from([0x0a, 0x7f, 1])), text: 'EOF' },
  ])('is an error when it $name', async ({ bytes, text }) => {
    const outcome = await outcomeOf((call) => {
      call.send(call.headers(okHeaders), call.data(bytes));
    });
    expect(outcome).toMatchObject({ code: 'BUILDKIT_PROTOCOL' });
    expect((outcome as Error).message).toContain(text);
  });

  it.each([
    { name: 'another content type', headers: { ':status': '200', 'content-type': 'text/html' } },
    { name: 'another HTTP status', headers: { ':status': '503', 'content-type': 'text/html' } },
    { name: 'a status that gRPC has not', headers: { ...okHeaders, 'grpc-status': '99' } },
  ])('is an error with $name', async ({ headers }) => {
    const outcome = await outcomeOf((call) => {
      call.send(call.headers(headers), call.data(solveFrame, { end: true }));
    });
    expect(outcome).toBeInstanceOf(BuildkitError);
    expect((outcome as BuildkitError).code).not.toBe('BUILDKIT_LOST');
  });

  it('keeps its verdict when the stream is reset right behind it', async () => {
    const outcome = await outcomeOf((call) => {
      call.send(
        call.headers({ ...okHeaders, 'grpc-status': '9', 'grpc-message': 'no%20%C3%BC %zz' }),
        call.reset(0),
      );
    });
    expect(outcome).toMatchObject({
      code: 'BUILDKIT_CALL_FAILED',
      grpcCode: 9,
      message: 'no ü %zz',
    });
  });

  it.each([
    { name: 'INTERNAL_ERROR', reset: 2, code: 'BUILDKIT_CALL_RESET', grpcCode: 13 },
    { name: 'CANCEL', reset: 8, code: 'BUILDKIT_CALL_RESET', grpcCode: 1 },
    { name: 'ENHANCE_YOUR_CALM', reset: 11, code: 'BUILDKIT_CALL_RESET', grpcCode: 8 },
    { name: 'REFUSED_STREAM', reset: 7, code: 'BUILDKIT_LOST', grpcCode: 14 },
    {
      name: 'no error, as of a peer that goes away',
      reset: 0,
      code: 'BUILDKIT_LOST',
      grpcCode: 14,
    },
  ])('is $code after a reset with $name', async ({ reset, code, grpcCode }) => {
    const outcome = await outcomeOf((call) => {
      call.send(call.headers(okHeaders), call.data(solveFrame.subarray(0, 6)), call.reset(reset));
    });
    expect(outcome).toMatchObject({ code, grpcCode });
  });

  it('is a loss when it ends without any status', async () => {
    const outcome = await outcomeOf((call) => {
      call.send(call.headers(okHeaders), call.data(solveFrame, { end: true }));
    });
    expect(outcome).toMatchObject({ code: 'BUILDKIT_LOST' });
  });

  it('is a loss with the words of the goaway', async () => {
    const outcome = await outcomeOf((call) => {
      call.send(call.goaway(11, 'too_many_pings'));
    });
    expect(outcome).toMatchObject({ code: 'BUILDKIT_LOST' });
    expect((outcome as Error).message).toContain('too_many_pings');
  });

  it('is a loss when the bytes are no HTTP/2', async () => {
    const outcome = await outcomeOf((call) => {
      call.send(Buffer.from('HTTP/1.1 502 Bad Gateway\r\n'));
    });
    expect(outcome).toMatchObject({ code: 'BUILDKIT_LOST' });
  });

  it('settles whatever bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
        fc.constantFrom('data', 'wire'),
        fc.boolean(),
        async (chunks, where, close) => {
          const seen: string[] = [];
          const outcome = await outcomeOf((call) => {
            const frames = chunks.map((chunk) =>
              where === 'data' ? call.data(Buffer.from(chunk)) : Buffer.from(chunk),
            );
            call.send(call.headers(okHeaders), ...frames);
            if (close) call.socket.end();
            else call.send(call.headers(ok, { end: true }));
            setTimeout(() => call.socket.destroy(), 50);
          }, readStatus(seen));
          if (outcome !== undefined) expect(outcome).toBeInstanceOf(BuildkitError);
        },
      ),
      { numRuns: 40 },
    );
  }, 20_000);
});

describe('Http2Channel with stubs that stream upwards', () => {
  it('calls back every open write when the call is canceled', async () => {
    await using daemon = await FakeBuildkitd.start({ Session: () => undefined });
    await using channel = new Http2Channel(await daemon.dial(), { unaryMethods: new Set() });
    const client = new Client(channel.target, credentials.createInsecure(), {
      channelOverride: channel,
    });
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(
      '/moby.buildkit.v1.Control/Session',
      (bytes) => bytes,
      (bytes) => bytes,
    );
    call.resume();
    const failed = new Promise<number>((resolve) => {
      call.on('error', (error) => {
        resolve((error as ServiceError).code);
      });
    });
    let done = 0;
    for (let index = 0; index < 20; index += 1) {
      call.write(Buffer.alloc(256 * 1024), () => (done += 1));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(done).toBeLessThan(20);
    call.cancel();
    expect(await failed).toBe(1);
    await new Promise(setImmediate);
    expect(done).toBe(20);
  });

  it('says that it never becomes ready again', async () => {
    await using daemon = await FakeBuildkitd.start();
    await using channel = new Http2Channel(await daemon.dial(), { unaryMethods: new Set() });
    const client = new Client(channel.target, credentials.createInsecure(), {
      channelOverride: channel,
    });
    const ready = async (): Promise<void> => {
      await new Promise<void>((resolve, reject) => {
        client.waitForReady(Date.now() + 1000, (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    };
    await ready();
    daemon.cut();
    await channel.closed;
    await expect(ready()).rejects.toThrow('Failed to connect');
  });
});
