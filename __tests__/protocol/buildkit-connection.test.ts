import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import { BuildkitError } from '../../src/buildkit/errors.ts';
import { SolveRequest, type StatusResponse } from '../../src/wire/gen/control.ts';
import {
  FakeBuildkitd,
  grpcFrame,
  statusDetails,
  type FakeCall,
  type FakeHandlers,
} from '../fakes/fake-buildkitd.ts';

const never = new AbortController().signal;
const request = SolveRequest.fromPartial({ Ref: 'r1' });

/** The error that a promise must fail with. */
async function failure(promise: Promise<unknown>): Promise<BuildkitError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof BuildkitError)) throw new Error(`no BuildkitError: ${String(outcome)}`);
  return outcome;
}

async function setUp(
  handlers: FakeHandlers,
  options: { callTimeoutMs?: number } = {},
): Promise<{ daemon: FakeBuildkitd; connection: BuildkitConnection } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const daemon = stack.use(await FakeBuildkitd.start(handlers));
  const connection = stack.use(await BuildkitConnection.open(daemon.dial, never, options));
  return { daemon, connection, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A handler that starts a stream and says when it did. */
function hang(): { handler: (call: FakeCall) => void; called: Promise<FakeCall> } {
  const { promise: called, resolve } = Promise.withResolvers<FakeCall>();
  return { handler: resolve, called };
}

const log = (text: string): Record<string, unknown> => ({
  logs: [{ vertex: 'v', msg: Buffer.from(text) }],
});
const logText = (status: StatusResponse): string => String(status.logs[0]?.msg);

describe('BuildkitConnection', () => {
  describe('open', () => {
    it('waits for the first answer of Info', async () => {
      const info = hang();
      await using daemon = await FakeBuildkitd.start({ Info: info.handler });
      let open = false;
      const opening = BuildkitConnection.open(daemon.dial, never).then((connection) => {
        open = true;
        return connection;
      });
      const call = await info.called;
      expect(open).toBe(false);
      call.reply({ buildkitVersion: { version: 'v9.9.9' } });
      call.end();
      await using connection = await opening;
      expect(connection.lost).toBeUndefined();
    });

    it('fails with what the dialer said', async () => {
      const refusal = new Error('pods "x" not found');
      await expect(BuildkitConnection.open(() => Promise.reject(refusal), never)).rejects.toBe(
        refusal,
      );
    });

    it('is unavailable when the stream ends before the first answer', async () => {
      await using daemon = await FakeBuildkitd.start({
        Info: (call) => call.stream.session?.destroy(),
      });
      const error = await failure(BuildkitConnection.open(daemon.dial, never));
      expect(error.code).toBe('BUILDKIT_UNAVAILABLE');
      expect(error.hint).toContain('buildkitd');
    });

    it('is unavailable when nobody answers in time, and leaves no stream', async () => {
      await using daemon = await FakeBuildkitd.start({ Info: () => undefined });
      const error = await failure(
        BuildkitConnection.open(daemon.dial, never, { callTimeoutMs: 20 }),
      );
      expect(error.code).toBe('BUILDKIT_UNAVAILABLE');
      await daemon.callsOf('Info')[0]?.closed;
    });

    it('keeps the words of the stream as the cause', async () => {
      await using daemon = await FakeBuildkitd.start({ Info: () => undefined });
      const said = new Error('container exited with code 137');
      const error = await failure(
        BuildkitConnection.open(async () => {
          const duplex = await daemon.dial();
          setImmediate(() => duplex.destroy(said));
          return duplex;
        }, never),
      );
      expect(error).toMatchObject({ code: 'BUILDKIT_UNAVAILABLE', cause: said });
      expect(error.message).toContain('container exited with code 137');
    });

    it('fails on a stream that is dead already', async () => {
      await using daemon = await FakeBuildkitd.start();
      const dead = await daemon.dial();
      dead.destroy();
      const error = await failure(BuildkitConnection.open(() => Promise.resolve(dead), never));
      expect(error.code).toBe('BUILDKIT_UNAVAILABLE');
    });

    it('is canceled by the signal', async () => {
      const info = hang();
      await using daemon = await FakeBuildkitd.start({ Info: info.handler });
      const controller = new AbortController();
      const opening = failure(BuildkitConnection.open(daemon.dial, controller.signal));
      await info.called;
      controller.abort(new Error('enough'));
      expect(await opening).toMatchObject({
        code: 'BUILDKIT_CANCELED',
        cause: new Error('enough'),
      });
    });
  });

  it('reads the workers', async () => {
    await using fixture = await setUp({
      ListWorkers: (call) => {
        call.reply({
          record: [
            {
              ID: 'w1',
              Labels: { 'org.mobyproject.buildkit.worker.executor': 'oci' },
              platforms: [{ OS: 'linux', Architecture: 'arm64', Variant: 'v8' }],
            },
          ],
        });
        call.end();
      },
    });
    const { record } = await fixture.connection.listWorkers(never);
    expect(record[0]?.Labels).toEqual({ 'org.mobyproject.buildkit.worker.executor': 'oci' });
    expect(record[0]?.platforms[0]).toMatchObject({ OS: 'linux', Architecture: 'arm64' });
  });

  it('gives up a call that is not answered, and keeps the connection', async () => {
    await using fixture = await setUp({ ListWorkers: () => undefined }, { callTimeoutMs: 100 });
    const error = await failure(fixture.connection.listWorkers(never));
    expect(error).toMatchObject({ code: 'BUILDKIT_TIMEOUT' });
    const [call] = fixture.daemon.callsOf('ListWorkers');
    expect(call?.header('grpc-timeout')[0]).toMatch(/^\d+m$/);
    expect(await call?.closed).toBe(8);
    await expect(fixture.connection.info(never)).resolves.toBeDefined();
  });

  describe('solve', () => {
    it('sends the request and has no deadline', async () => {
      await using fixture = await setUp({
        Solve: (call) => {
          call.reply({ ExporterResponse: { 'containerimage.digest': 'sha256:1' } });
          call.end();
        },
      });
      const response = await fixture.connection.solve(
        SolveRequest.fromPartial({ Ref: 'r1', FrontendAttrs: { target: 'x' }, Frontend: 'f' }),
        never,
      );
      expect(response.ExporterResponse).toEqual({ 'containerimage.digest': 'sha256:1' });
      const [call] = fixture.daemon.callsOf('Solve');
      expect(await call?.request).toMatchObject({ Ref: 'r1', FrontendAttrs: { target: 'x' } });
      expect(call?.header('grpc-timeout')).toEqual([]);
    });

    it('decodes the details of a failure that has no body at all', async () => {
      const details = statusDetails(2, 'process failed', [
        ['stack.Stack+json', { frames: [{ Name: 'main.main', File: '/src/main.go', Line: 7 }] }],
        ['errdefs.Vertex+json', { digest: 'sha256:abc' }],
        [
          'errdefs.Source+json',
          {
            info: { filename: 'Dockerfile', data: Buffer.from('FROM a\nRUN x').toString('base64') },
            ranges: [{ start: { line: 2 }, end: { line: 2 } }],
          },
        ],
        ['errdefs.Solve+json', { inputIDs: ['1'] }],
      ]);
      await using fixture = await setUp({
        Solve: (call) => {
          call.end(2, 'process "/bin/sh -c x" did not complete: 100 % broken: ü', details);
        },
      });
      const error = await failure(fixture.connection.solve(request, never));
      expect(error.code).toBe('BUILDKIT_CALL_FAILED');
      expect(error.message).toBe('process "/bin/sh -c x" did not complete: 100 % broken: ü');
      expect(error.grpcCode).toBe(2);
      expect(error.details?.vertexDigest).toBe('sha256:abc');
      expect(String(error.details?.sources[0]?.data)).toBe('FROM a\nRUN x');
    });

    it('tells the daemon how large a header may be', async () => {
      await using fixture = await setUp({});
      const [session] = fixture.daemon.sessions;
      // Above 64 KiB a header would end the whole connection.
      expect(session?.remoteSettings.maxHeaderListSize).toBe(65_535);
    });

    it('tells the daemon to stop when it is canceled', async () => {
      const solving = hang();
      await using fixture = await setUp({ Solve: solving.handler });
      const controller = new AbortController();
      const outcome = failure(fixture.connection.solve(request, controller.signal));
      const call = await solving.called;
      controller.abort();
      expect(await outcome).toMatchObject({ code: 'BUILDKIT_CANCELED' });
      expect(await call.closed).toBe(8);
      await expect(fixture.connection.info(never)).resolves.toBeDefined();
    });

    it('refuses a request above the limit of the daemon', async () => {
      await using fixture = await setUp({ Solve: () => undefined });
      const error = await failure(
        fixture.connection.solve(
          SolveRequest.fromPartial({ FrontendAttrs: { a: 'x'.repeat(17 * 1024 * 1024) } }),
          never,
        ),
      );
      expect(error.code).toBe('BUILDKIT_PROTOCOL');
      expect(error.message).toContain('exceeds the limit of 16777216 bytes');
    });

    it('can be large in both directions', async () => {
      const large = 'x'.repeat(12 * 1024 * 1024);
      await using fixture = await setUp({
        Solve: async (call) => {
          const { FrontendAttrs } = await call.request;
          call.reply({ ExporterResponse: FrontendAttrs });
          call.end();
        },
      });
      const response = await fixture.connection.solve(
        SolveRequest.fromPartial({ FrontendAttrs: { large } }),
        never,
      );
      expect(response.ExporterResponse.large === large).toBe(true);
    });
  });

  describe('status', () => {
    it('gives every message before the error that follows them', async () => {
      await using fixture = await setUp({
        Status: (call) => {
          for (let index = 0; index < 50; index += 1) call.reply(log(String(index)));
          call.end(5, 'no such job r1');
        },
      });
      const seen: string[] = [];
      const reading = (async () => {
        for await (const status of fixture.connection.status('r1', never)) {
          seen.push(logText(status));
          await new Promise(setImmediate);
        }
      })();
      expect(await failure(reading)).toMatchObject({
        code: 'BUILDKIT_CALL_FAILED',
        grpcCode: 5,
        message: 'no such job r1',
      });
      expect(seen).toEqual(Array.from({ length: 50 }, (_value, index) => String(index)));
    });

    it('reads ten thousand messages in order', async () => {
      await using fixture = await setUp({
        Status: async (call) => {
          for (let index = 0; index < 10_000; index += 1) {
            if (!call.reply(log(String(index)))) await once(call.stream, 'drain');
          }
          call.end();
        },
      });
      let count = 0;
      for await (const status of fixture.connection.status('r1', never)) {
        if (logText(status) !== String(count)) throw new Error(`message ${count} is out of order`);
        count += 1;
      }
      expect(count).toBe(10_000);
    });

    it('stops a daemon that is not listened to, while other calls go on', async () => {
      const chunk = log('x'.repeat(64 * 1024));
      let sentMb = 0;
      const { promise: stuck, resolve: onStuck } = Promise.withResolvers<undefined>();
      await using fixture = await setUp({
        Status: async (call) => {
          for (; sentMb < 200 && !call.stream.destroyed; sentMb += 1 / 16) {
            if (call.reply(chunk)) continue;
            const drained = once(call.stream, 'drain').then(() => true);
            const waited = new Promise((resolve) => setTimeout(resolve, 300, false));
            if (!(await Promise.race([drained, waited]))) {
              drained.catch(() => undefined);
              onStuck(undefined);
              return;
            }
          }
        },
      });
      const reader = fixture.connection.status('r1', never);
      await reader.next();
      await stuck;
      expect(sentMb).toBeLessThan(40);
      await expect(fixture.connection.info(never)).resolves.toBeDefined();
      await reader.return();
      expect(await fixture.daemon.callsOf('Status')[0]?.closed).toBe(8);
    });

    it('ends the call when the loop is left', async () => {
      await using fixture = await setUp({
        Status: (call) => {
          call.reply(log('first'));
        },
      });
      for await (const status of fixture.connection.status('r1', never)) {
        expect(logText(status)).toBe('first');
        break;
      }
      expect(await fixture.daemon.callsOf('Status')[0]?.closed).toBe(8);
    });

    it('ends the call when it is canceled', async () => {
      const controller = new AbortController();
      await using fixture = await setUp({
        Status: (call) => {
          call.reply(log('first'));
        },
      });
      const reading = (async () => {
        for await (const status of fixture.connection.status('r1', controller.signal)) {
          expect(logText(status)).toBe('first');
          controller.abort();
        }
      })();
      expect(await failure(reading)).toMatchObject({ code: 'BUILDKIT_CANCELED' });
      expect(await fixture.daemon.callsOf('Status')[0]?.closed).toBe(8);
    });
  });

  describe('when the connection is cut', () => {
    it('loses every call, whatever half of it came', async () => {
      const solving = hang();
      await using fixture = await setUp({
        Solve: solving.handler,
        Status: (call) => {
          call.reply(log('half'));
        },
      });
      const { connection } = fixture;
      const session = await connection.openSessionStream([], never);
      session.resume();
      const sessionClosed = once(session, 'close');
      const solve = failure(connection.solve(request, never));
      const reader = connection.status('r1', never);
      await reader.next();
      const next = failure(reader.next());
      await solving.called;
      fixture.daemon.cut();
      expect(await solve).toMatchObject({ code: 'BUILDKIT_LOST' });
      expect(await next).toMatchObject({ code: 'BUILDKIT_LOST' });
      await sessionClosed;
      expect(await connection.closed).toMatchObject({ code: 'BUILDKIT_LOST' });
      expect(connection.lost).toMatchObject({ code: 'BUILDKIT_LOST' });
      expect(await failure(connection.info(never))).toMatchObject({ code: 'BUILDKIT_LOST' });
      await expect(failure(connection.openSessionStream([], never))).resolves.toMatchObject({
        code: 'BUILDKIT_LOST',
      });
    });

    it('is lost also when the daemon says goodbye politely', async () => {
      const solving = hang();
      await using fixture = await setUp({ Solve: solving.handler });
      const solve = fixture.connection.solve(request, never);
      const call = await solving.called;
      for (const session of fixture.daemon.sessions) session.close();
      // The call under way may end, a new one may not begin.
      call.reply({ ExporterResponse: { a: 'b' } });
      call.end();
      await expect(solve).resolves.toMatchObject({ ExporterResponse: { a: 'b' } });
      expect(await fixture.connection.closed).toMatchObject({ code: 'BUILDKIT_LOST' });
      expect(await failure(fixture.connection.info(never))).toMatchObject({
        code: 'BUILDKIT_LOST',
      });
    });

    it('names a goaway of the daemon', async () => {
      const solving = hang();
      await using fixture = await setUp({ Solve: solving.handler });
      const solve = failure(fixture.connection.solve(request, never));
      const call = await solving.called;
      call.stream.session?.goaway(11, 0, Buffer.from('too_many_pings'));
      const error = await solve;
      expect(error.code).toBe('BUILDKIT_LOST');
      expect(error.message).toContain('too_many_pings');
    });
  });

  describe('openSessionStream', () => {
    it('keeps repeated headers apart and in order, and is raw both ways', async () => {
      await using fixture = await setUp({
        Session: (call) => {
          call.stream.on('data', (chunk: Buffer) => {
            if (!call.stream.headersSent) {
              call.stream.respond({ 'content-type': 'application/grpc' });
            }
            call.stream.write(chunk);
          });
        },
      });
      const stream = await fixture.connection.openSessionStream(
        [
          ['x-docker-expose-session-grpc-method', '/a/B, /c/D'],
          ['x-docker-expose-session-uuid', 'id'],
          ['x-docker-expose-session-grpc-method', '/e/F'],
        ],
        never,
      );
      const bytes = grpcFrame(Buffer.from([0x0a, 1, 42]));
      stream.write(bytes);
      const [echoed] = (await once(stream, 'data')) as [Buffer];
      expect(echoed.equals(bytes)).toBe(true);
      const [call] = fixture.daemon.callsOf('Session');
      expect(call?.header('x-docker-expose-session-grpc-method')).toEqual(['/a/B, /c/D', '/e/F']);
      expect(call?.header('content-type')).toEqual(['application/grpc']);
      expect(call?.header('te')).toEqual(['trailers']);
      stream.close();
    });

    it('is refused when the signal has fired', async () => {
      await using fixture = await setUp({});
      const error = await failure(fixture.connection.openSessionStream([], AbortSignal.abort()));
      expect(error.code).toBe('BUILDKIT_CANCELED');
    });
  });

  describe('when it is disposed', () => {
    it('ends open calls and the stream, and calls that no loss', async () => {
      const solving = hang();
      await using fixture = await setUp({ Solve: solving.handler });
      const session = await fixture.connection.openSessionStream([], never);
      session.resume();
      const solve = failure(fixture.connection.solve(request, never));
      const call = await solving.called;
      await fixture.connection[Symbol.asyncDispose]();
      expect(await solve).toMatchObject({ code: 'BUILDKIT_LOST' });
      expect(await fixture.connection.closed).toBeUndefined();
      await call.closed;
      expect(fixture.daemon.sessions.size).toBe(0);
    });

    it('can be done twice and after a loss', async () => {
      await using fixture = await setUp({});
      fixture.daemon.cut();
      await fixture.connection.closed;
      await fixture.connection[Symbol.asyncDispose]();
      await fixture.connection[Symbol.asyncDispose]();
    });
  });

  it('leaves no timers and no streams behind', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await using daemon = await FakeBuildkitd.start({
      ListWorkers: (call) => {
        call.end(13, 'no');
      },
    });
    const duplex = await daemon.dial();
    await using connection = await BuildkitConnection.open(() => Promise.resolve(duplex), never);
    // Other timers come and go, so what is counted is far above them.
    const before = timers();
    await Promise.all(Array.from({ length: 200 }, () => connection.info(never)));
    await Promise.all(Array.from({ length: 200 }, () => failure(connection.listWorkers(never))));
    expect(timers()).toBeLessThan(before + 100);
    const disposed = connection[Symbol.asyncDispose]();
    // An open stream would be given time to end.
    expect(duplex.destroyed).toBe(true);
    await disposed;
  });
});
