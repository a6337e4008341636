import { afterEach, describe, expect, it } from '@jest/globals';
import { type WatchOptions, whileBuilderLives } from '../../src/builder-watch.ts';
import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import { BuildkitError } from '../../src/buildkit/errors.ts';
import { BuilderLost } from '../../src/kubernetes/loss.ts';
import { SolveError } from '../../src/solve/errors.ts';
import { SolveRequest } from '../../src/wire/gen/control.ts';
import { answerInfo, dialPort, FakeBuildkitd, type FakeHandlers } from '../fakes/fake-buildkitd.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';

const never = new AbortController().signal;
const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** What the cluster says of the pod. */
interface Pod {
  readonly lost?: Promise<BuilderLost>;
  readonly answers?: boolean;
  readonly fate?: BuilderLost;
}

/** Builds on a daemon behind a proxy; the daemon says nothing while it builds. */
async function build(
  { lost, answers = true, fate = new BuilderLost('connection', 'cut') }: Pod = {},
  handlers: FakeHandlers = {},
) {
  const daemon = await FakeBuildkitd.start({ Solve: () => undefined, ...handlers });
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: daemon.port });
  const connection = await BuildkitConnection.open(() => dialPort(proxy.port), never);
  open.push(daemon, proxy, connection);
  const asked: (boolean | undefined)[] = [];
  const controller = new AbortController();
  const options: WatchOptions = {
    builder: {
      podLost: () => lost ?? new Promise(() => undefined),
      answersAnew: () => (answers ? Promise.resolve() : Promise.reject(new Error('no route'))),
      explainLoss: (_signal, _cause, more) => {
        asked.push(more?.isSilent);
        return Promise.resolve(fate);
      },
    },
    connection,
    step: () => 'RUN make',
    tell: () => undefined,
    signal: controller.signal,
    tickMs: 20,
  };
  const request = SolveRequest.fromPartial({ Ref: 'r1' });
  const outcome = whileBuilderLives(options, () =>
    connection.solve(request, controller.signal),
  ).then(
    () => 'built',
    (failure: unknown) => failure,
  );
  return { outcome, asked, proxy, daemon, controller };
}

async function solving(daemon: FakeBuildkitd): Promise<void> {
  while (daemon.callsOf('Solve').length === 0) await new Promise(setImmediate);
}

describe('whileBuilderLives', () => {
  it('gives a build up whose pod is silent on every way, though the connection looks open', async () => {
    const fate = new BuilderLost('node-lost', 'node node-7 does not answer');
    const { outcome, asked, proxy, daemon } = await build({ answers: false, fate });
    await solving(daemon);
    proxy.freeze();
    expect(await outcome).toBe(fate);
    expect(asked).toEqual([true]);
  });

  it('takes it for a broken connection where the pod answers others', async () => {
    const { outcome, asked, proxy, daemon } = await build({ answers: true });
    await solving(daemon);
    proxy.freeze();
    expect(await outcome).toMatchObject({ kind: 'connection' });
    expect(asked).toEqual([false]);
  });

  it('leaves a daemon alone that builds in silence and answers', async () => {
    const { outcome, daemon } = await build({ answers: false });
    await solving(daemon);
    // Many times what a dead one would get.
    while (daemon.callsOf('Info').length < 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const [call] = daemon.callsOf('Solve');
    call?.reply({});
    call?.end();
    expect(await outcome).toBe('built');
  });

  it('does not wait for an answer once the pod is known to be gone', async () => {
    const fate = new BuilderLost('deleted', 'pod b-1 was deleted');
    const { promise: lost, resolve } = Promise.withResolvers<BuilderLost>();
    const { outcome, daemon } = await build({ lost });
    await solving(daemon);
    resolve(fate);
    expect(await outcome).toBe(fate);
  });

  it('explains a connection that ends', async () => {
    const fate = new BuilderLost('out-of-memory', 'x');
    const { outcome, asked, proxy, daemon } = await build({ fate });
    await solving(daemon);
    proxy.cut();
    expect(await outcome).toBe(fate);
    expect(asked).toEqual([false]);
  });

  it.each([
    ['drained', 'pod b-1 was drained'],
    ['connection', undefined],
  ] as const)('looks at the pod when the daemon cancels by itself: %s', async (kind, message) => {
    const fate = new BuilderLost(kind, message ?? 'still running');
    const answer = new BuildkitError('BUILDKIT_CALL_FAILED', 'context canceled', { grpcCode: 1 });
    const failure = new SolveError('SOLVE_FAILED', 'context canceled', { cause: answer });
    const { connection, options } = await idle(fate);
    const outcome = whileBuilderLives({ ...options, connection }, () => Promise.reject(failure));
    await expect(outcome).rejects.toBe(message === undefined ? failure : fate);
  });

  it('leaves any other failure as it is, and a cancellation to who cancelled', async () => {
    const { connection, options, controller } = await idle(new BuilderLost('deleted', 'x'));
    const failure = new SolveError('SOLVE_FAILED', 'exit code: 1');
    const watch = { ...options, connection };
    await expect(whileBuilderLives(watch, () => Promise.reject(failure))).rejects.toBe(failure);
    controller.abort(new Error('cancelled'));
    const lost = new BuildkitError('BUILDKIT_LOST', 'x');
    await expect(whileBuilderLives(watch, () => Promise.reject(lost))).rejects.toThrow('cancelled');
  });
});

/** A watch over a daemon that has nothing to do. */
async function idle(fate: BuilderLost) {
  const daemon = await FakeBuildkitd.start({ Info: answerInfo });
  const connection = await BuildkitConnection.open(daemon.dial, never);
  open.push(daemon, connection);
  const controller = new AbortController();
  const options: Omit<WatchOptions, 'connection'> = {
    builder: {
      podLost: () => new Promise(() => undefined),
      answersAnew: () => Promise.resolve(),
      explainLoss: () => Promise.resolve(fate),
    },
    step: () => undefined,
    tell: () => undefined,
    signal: controller.signal,
  };
  return { connection, options, controller };
}
