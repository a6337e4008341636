import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { Duplex } from 'node:stream';
import { BuildkitError } from '../../src/buildkit/errors.ts';
import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import { Session } from '../../src/session/session.ts';
import { SessionError } from '../../src/session/errors.ts';
import type { Attachable } from '../../src/session/attachable.ts';
import { SolveError } from '../../src/solve/errors.ts';
import { solve, type SolveOptions } from '../../src/solve/solve.ts';
import { SolveRequest, type StatusResponse } from '../../src/wire/gen/control.ts';
import {
  encode,
  FakeBuildkitd,
  grpcFrame,
  statusDetails,
  type FakeCall,
  type FakeHandlers,
} from '../fakes/fake-buildkitd.ts';
import { readFrames } from '../fakes/fake-session-daemon.ts';

const never = new AbortController().signal;
const dockerfile = 'FROM a\nRUN b\n';
const failedStep = statusDetails(2, 'it failed', [
  ['errdefs.Vertex+json', { digest: 'sha256:v' }],
  [
    'errdefs.Source+json',
    {
      info: { filename: 'Dockerfile', data: Buffer.from(dockerfile).toString('base64') },
      ranges: [{ start: { line: 2 }, end: { line: 2 } }],
    },
  ],
]);
const vertex = (fields: Record<string, unknown>): Record<string, unknown> => ({
  vertexes: [{ digest: 'sha256:v', name: 'RUN b', ...fields }],
});

/** Serves the Session RPC as a daemon that does not call anything. */
function idleSession(call: FakeCall): void {
  call.stream.resume();
  call.stream.on('end', () => {
    call.end();
  });
}

/** A daemon whose Status ends when its Solve has ended. */
function daemonOf(handlers: FakeHandlers): Promise<FakeBuildkitd> {
  const solved = Promise.withResolvers<undefined>();
  const { Solve: answer, Status: report, ...others } = handlers;
  return FakeBuildkitd.start({
    Session: idleSession,
    Solve: async (call) => {
      void call.closed.then(() => {
        solved.resolve(undefined);
      });
      await answer?.(call);
    },
    Status:
      report ??
      (async (call) => {
        call.reply(vertex({}));
        await solved.promise;
        call.reply(vertex({ name: 'late' }));
        call.end();
      }),
    ...others,
  });
}

interface Outcome {
  readonly response: Readonly<Record<string, string>> | undefined;
  readonly error: unknown;
  readonly names: readonly (string | undefined)[];
}

/** One build against `daemon`, to its end. */
async function build(
  daemon: FakeBuildkitd,
  options: Partial<SolveOptions> & { attachables?: Attachable[] } = {},
): Promise<Outcome> {
  const { attachables = [], ...rest } = options;
  await using connection = await BuildkitConnection.open(daemon.dial, never);
  const names: (string | undefined)[] = [];
  const solving = solve({
    connection,
    session: new Session({ sharedKey: 'key', attachables }),
    request: SolveRequest.fromPartial({ Ref: 'the-ref' }),
    signal: never,
    ...rest,
    onStatus: (status: StatusResponse) => {
      names.push(status.vertexes[0]?.name);
      rest.onStatus?.(status);
    },
  });
  const [outcome] = await Promise.allSettled([solving]);
  return outcome.status === 'fulfilled'
    ? { response: outcome.value.ExporterResponse, error: undefined, names }
    : { response: undefined, error: outcome.reason, names };
}

const succeed = (call: FakeCall): void => {
  call.reply({ ExporterResponse: { 'containerimage.digest': 'sha256:d' } });
  call.end();
};

describe('solve', () => {
  it('returns the answer after the last status message, and ends the session', async () => {
    await using daemon = await daemonOf({ Solve: succeed });
    const { response, names } = await build(daemon);
    expect(response).toEqual({ 'containerimage.digest': 'sha256:d' });
    expect(names).toEqual(['RUN b', 'late']);
    const [session] = daemon.callsOf('Session');
    expect(await session?.closed).toBe(0);
    expect(await daemon.callsOf('Status')[0]?.request).toEqual({ Ref: 'the-ref' });
  });

  it('opens the session before the build can need it', async () => {
    const session = Promise.withResolvers<undefined>();
    await using daemon = await daemonOf({
      Session: (call) => {
        idleSession(call);
        session.resolve(undefined);
      },
      Solve: async (call) => {
        await session.promise;
        succeed(call);
      },
    });
    expect((await build(daemon)).error).toBeUndefined();
    expect(daemon.callsOf('Session')[0]?.header('x-docker-expose-session-sharedkey')).toEqual([
      'key',
    ]);
  });

  it('tells where a step failed, after its last words', async () => {
    await using daemon = await daemonOf({
      Solve: (call) => {
        call.end(2, 'failed to solve: it failed', failedStep);
      },
    });
    const { error, names } = await build(daemon);
    expect(names).toEqual(['RUN b', 'late']);
    expect(error).toBeInstanceOf(SolveError);
    expect(error).toMatchObject({
      code: 'SOLVE_FAILED',
      message: 'it failed',
      failure: {
        vertexDigest: 'sha256:v',
        location: { filename: 'Dockerfile', startLine: 2, endLine: 2 },
      },
    });
    expect((error as SolveError).failure?.excerpt).toContain('   2 | >>> RUN b\n');
  });

  it('tells where a check failed, of which the answer says nothing', async () => {
    const warning = (short: string, line: number): Record<string, unknown> => ({
      short: Buffer.from(short),
      info: { filename: 'Dockerfile', data: Buffer.from(dockerfile) },
      ranges: [{ start: { line }, end: { line } }],
    });
    await using daemon = await daemonOf({
      Solve: (call) => {
        call.end(2, 'failed to solve: lint violation found for rules: FromAsCasing');
      },
      Status: (call) => {
        call.reply({ warnings: [warning('Other: no', 1), warning('FromAsCasing: bad', 2)] });
        call.end();
      },
    });
    const { error } = await build(daemon);
    expect(error).toMatchObject({
      failure: { location: { filename: 'Dockerfile', startLine: 2, endLine: 2 } },
    });
    expect((error as SolveError).failure?.excerpt).toContain('   2 | >>> RUN b\n');
    expect((error as SolveError).failure?.excerpt).not.toContain('>>> FROM');
  });

  describe('when the daemon cannot send its answer', () => {
    /** Fails as a daemon does whose answer is too large for a header. */
    const breakOff = async (daemon: () => FakeBuildkitd, call: FakeCall): Promise<void> => {
      while (daemon().callsOf('Status').length === 0) await new Promise(setImmediate);
      setTimeout(() => {
        call.stream.close(2);
      }, 50);
    };
    const report = (daemon: () => FakeBuildkitd) => async (call: FakeCall) => {
      call.reply(vertex({ error: 'exit code: 1' }));
      call.reply(vertex({ digest: 'sha256:other', error: 'RUN c: context canceled' }));
      await daemon().callsOf('Solve')[0]?.closed;
      call.end();
    };

    it('reads it in the history', async () => {
      await using daemon = await daemonOf({
        Status: report(() => daemon),
        Solve: (call) => breakOff(() => daemon, call),
        ListenBuildHistory: (call) => {
          call.reply({
            type: 1,
            record: { Ref: 'the-ref', error: { code: 2, message: 'all of it' } },
          });
          call.end();
        },
      });
      expect((await build(daemon)).error).toMatchObject({
        code: 'SOLVE_FAILED',
        message: 'all of it',
        failure: { vertexDigest: 'sha256:v' },
      });
      expect(await daemon.callsOf('ListenBuildHistory')[0]?.request).toEqual({
        Ref: 'the-ref',
        EarlyExit: true,
      });
    });

    it('takes the failed step of the status when there is no history', async () => {
      await using daemon = await daemonOf({
        Status: report(() => daemon),
        Solve: (call) => breakOff(() => daemon, call),
      });
      expect((await build(daemon)).error).toMatchObject({
        code: 'SOLVE_FAILED',
        message: 'exit code: 1',
        failure: { vertexDigest: 'sha256:v' },
      });
    });

    it('says so when nothing else is known', async () => {
      await using daemon = await daemonOf({ Solve: (call) => breakOff(() => daemon, call) });
      expect((await build(daemon)).error).toMatchObject({ code: 'BUILDKIT_CALL_RESET' });
    });
  });

  it('asks again while the daemon does not know the build yet', async () => {
    const known = Promise.withResolvers<undefined>();
    await using daemon = await daemonOf({
      Status: (call) => {
        if (daemon.callsOf('Status').length === 1) {
          call.end(5, 'no such job the-ref');
          return;
        }
        call.reply(vertex({}));
        call.end();
        known.resolve(undefined);
      },
      Solve: async (call) => {
        await known.promise;
        succeed(call);
      },
    });
    const { error, names } = await build(daemon);
    expect(error).toBeUndefined();
    expect(names).toEqual(['RUN b']);
  });

  it('does not ask again once it was told something', async () => {
    const forgotten = Promise.withResolvers<undefined>();
    await using daemon = await daemonOf({
      Status: (call) => {
        call.reply(vertex({}));
        call.end(5, 'no such job the-ref');
        forgotten.resolve(undefined);
      },
      Solve: async (call) => {
        await forgotten.promise;
        setTimeout(() => {
          succeed(call);
        }, 700);
      },
    });
    const { error, names } = await build(daemon);
    expect(error).toBeUndefined();
    expect(names).toEqual(['RUN b']);
  });

  it('does not wait for ever for a status that does not end', async () => {
    await using daemon = await daemonOf({ Solve: succeed, Status: () => undefined });
    expect((await build(daemon)).error).toBeUndefined();
    expect(await daemon.callsOf('Status')[0]?.closed).toBe(8);
  });

  describe('when it is canceled', () => {
    it('stops the build in the daemon and hears how it stopped', async () => {
      const controller = new AbortController();
      await using daemon = await daemonOf({
        Solve: () => {
          controller.abort(new Error('SIGINT'));
        },
      });
      const { error, names } = await build(daemon, { signal: controller.signal });
      expect(error).toMatchObject({ code: 'SOLVE_CANCELED', cause: new Error('SIGINT') });
      expect(names).toEqual(['RUN b', 'late']);
      expect(await daemon.callsOf('Solve')[0]?.closed).toBe(8);
    });

    it('does not begin with a signal that has fired', async () => {
      await using daemon = await daemonOf({ Solve: succeed });
      const { error } = await build(daemon, { signal: AbortSignal.abort(new Error('early')) });
      expect(error).toMatchObject({ code: 'SOLVE_CANCELED', cause: new Error('early') });
      expect(daemon.callsOf('Solve')).toEqual([]);
    });

    it('leaves late status messages when the build is over', async () => {
      const controller = new AbortController();
      const solved = Promise.withResolvers<undefined>();
      await using daemon = await daemonOf({
        Solve: (call) => {
          succeed(call);
          solved.resolve(undefined);
        },
        Status: async (call) => {
          await solved.promise;
          // One message a second: without the cancellation this never becomes quiet.
          const timer = setInterval(() => {
            call.reply(vertex({}));
            controller.abort();
          }, 1000);
          void call.closed.then(() => {
            clearInterval(timer);
          });
        },
      });
      const { response } = await build(daemon, { signal: controller.signal });
      expect(response).toEqual({ 'containerimage.digest': 'sha256:d' });
      expect(await daemon.callsOf('Status')[0]?.closed).toBe(8);
    });

    it('gives up on a daemon that does not stop', async () => {
      const controller = new AbortController();
      await using daemon = await daemonOf({
        Status: () => undefined,
        Solve: () => {
          controller.abort();
        },
      });
      const { error } = await build(daemon, { signal: controller.signal });
      expect(error).toMatchObject({ code: 'SOLVE_CANCELED' });
    }, 15_000);
  });

  it('ends a build that takes too long', async () => {
    await using daemon = await daemonOf({ Solve: () => undefined });
    const { error } = await build(daemon, { timeoutMs: 30 });
    expect(error).toMatchObject({ code: 'SOLVE_TIMEOUT' });
    expect((error as Error).message).toContain('0.03 s');
    expect(await daemon.callsOf('Solve')[0]?.closed).toBe(8);
  });

  it('counts what earlier attempts took of the time-out', async () => {
    await using daemon = await daemonOf({ Solve: () => undefined });
    const { error } = await build(daemon, { timeoutMs: 3_600_000, spentMs: 3_600_000 - 30 });
    expect(error).toMatchObject({ code: 'SOLVE_TIMEOUT' });
    expect((error as Error).message).toContain('3600 s');
    expect(await daemon.callsOf('Solve')[0]?.closed).toBe(8);
  });

  describe('when something else fails', () => {
    it('is a lost daemon when the connection goes', async () => {
      await using daemon = await daemonOf({
        Solve: () => {
          daemon.cut();
        },
      });
      expect((await build(daemon)).error).toMatchObject({ code: 'BUILDKIT_LOST' });
    });

    it('ends with the session', async () => {
      const session = Promise.withResolvers<FakeCall>();
      await using daemon = await daemonOf({
        Session: session.resolve,
        Solve: async () => {
          (await session.promise).end(13, 'session broke');
        },
      });
      const { error } = await build(daemon);
      expect(error).toMatchObject({ code: 'SESSION_TUNNEL_LOST' });
      expect((error as Error).message).toContain('session broke');
      expect(await daemon.callsOf('Solve')[0]?.closed).toBe(8);
    });

    it('ends with a status that cannot be read', async () => {
      await using daemon = await daemonOf({
        Solve: () => undefined,
        Status: (call) => {
          call.end(13, 'status broke');
        },
      });
      const { error } = await build(daemon);
      expect(error).toMatchObject({ code: 'BUILDKIT_CALL_FAILED', message: 'status broke' });
      expect(await daemon.callsOf('Solve')[0]?.closed).toBe(8);
    });

    it('ends with whoever shows the progress', async () => {
      await using daemon = await daemonOf({ Solve: () => undefined });
      const { error } = await build(daemon, {
        onStatus: () => {
          throw new Error('display broke');
        },
      });
      expect(error).toEqual(new Error('display broke'));
    });

    it('names our own failure, not what the daemon makes of it', async () => {
      const own = new SessionError('SESSION_CONTEXT_UNREADABLE', 'cannot read secret.txt');
      const method = '/moby.filesync.v1.FileSync/DiffCopy';
      const session = Promise.withResolvers<FakeCall>();
      await using daemon = await daemonOf({
        Session: session.resolve,
        Solve: async (call) => {
          const heard = await callSession(await session.promise, method);
          call.end(2, `failed to load cache key: rpc error: code = Unknown desc = ${heard}`);
        },
      });
      const { error } = await build(daemon, {
        attachables: [{ methods: { [method]: () => Promise.reject(own) } }],
      });
      expect(error).toBe(own);
    });

    it('knows its own failure, of which the daemon was told only the beginning', async () => {
      const own = new SessionError('SESSION_CONTEXT_UNREADABLE', `${'ü'.repeat(9999)} is gone`);
      const method = '/moby.filesync.v1.FileSync/DiffCopy';
      const session = Promise.withResolvers<FakeCall>();
      await using daemon = await daemonOf({
        Session: session.resolve,
        Solve: async (call) => {
          const heard = await callSession(await session.promise, method);
          expect(heard).toBe('ü'.repeat(2048));
          call.end(2, `failed to solve: ${heard}`);
        },
      });
      const { error } = await build(daemon, {
        attachables: [{ methods: { [method]: () => Promise.reject(own) } }],
      });
      expect(error).toBe(own);
    });

    it.each(['it failed', 'a step failed: it broke', 'broke it: no'])(
      'does not take %j for a failure of ours',
      async (message) => {
        const method = '/moby.filesync.v1.Auth/FetchToken';
        const session = Promise.withResolvers<FakeCall>();
        await using daemon = await daemonOf({
          Session: session.resolve,
          Solve: async (call) => {
            await callSession(await session.promise, method);
            call.end(2, message);
          },
        });
        const { error } = await build(daemon, {
          attachables: [{ methods: { [method]: () => Promise.reject(new Error('broke')) } }],
        });
        expect(error).toMatchObject({ code: 'SOLVE_FAILED', message });
        expect((error as Error).cause).toBeInstanceOf(BuildkitError);
      },
    );

    it('does not blame a failure of ours that the daemon got over', async () => {
      const method = '/moby.filesync.v1.Auth/FetchToken';
      const session = Promise.withResolvers<FakeCall>();
      await using daemon = await daemonOf({
        Session: session.resolve,
        Solve: async (call) => {
          await callSession(await session.promise, method);
          call.end(2, 'it failed', failedStep);
        },
      });
      const { error } = await build(daemon, {
        attachables: [{ methods: { [method]: () => Promise.reject(new Error('no token')) } }],
      });
      expect(error).toMatchObject({ code: 'SOLVE_FAILED', message: 'it failed' });
    });
  });
});

/** Calls us through the tunnel, as the daemon does; gives the message of the status. */
async function callSession(call: FakeCall, method: string): Promise<string> {
  const client = connectHttp2('http://localhost', { createConnection: () => tunnelOf(call) });
  client.on('error', () => undefined);
  const stream = client.request({
    ':method': 'POST',
    ':path': method,
    'content-type': 'application/grpc',
  });
  stream.end();
  stream.resume();
  let message: unknown;
  const listen = (headers: IncomingHttpHeaders): void => {
    message = headers['grpc-message'] ?? message;
  };
  stream.on('response', listen);
  stream.on('trailers', listen);
  await once(stream, 'close');
  call.stream.on('end', () => {
    call.end();
  });
  return decodeURIComponent(String(message));
}

/** The daemon's end of the byte stream inside a Session RPC. */
function tunnelOf(call: FakeCall): Duplex {
  let received = Buffer.alloc(0);
  const tunnel = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      if (!call.stream.headersSent) call.stream.respond({ 'content-type': 'application/grpc' });
      call.stream.write(grpcFrame(encode('moby.buildkit.v1.BytesMessage', { data: chunk })), done);
    },
  });
  call.stream.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (const message of readFrames(received)) {
      received = received.subarray(5 + message.length);
      // One field with a length of one to three bytes before the data.
      let at = 1;
      while ((message[at] ?? 0) >= 0x80) at += 1;
      tunnel.push(message.subarray(at + 1));
    }
  });
  return tunnel;
}
