import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import { type DirectOptions, openDirect } from '../../src/kubernetes/connection/direct.ts';
import type { CountedDuplex } from '../../src/shared/dialer.ts';
import { type TlsClient, tlsContext } from '../../src/shared/tls-stream.ts';
import {
  type FakeDaemon,
  type FakeDaemonOptions,
  greeting,
  silence,
  startFakeDaemon,
} from '../fakes/fake-daemon.ts';

const never = new AbortController().signal;
const hourMs = 3_600_000;
const tls = await makeBuilderTls('b', { validMs: hourMs });
let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

function clientOf(serverName = 'buildkitd.b', ca = tls.ca): TlsClient {
  const context = tlsContext({ ca, cert: tls.clientCert, key: tls.clientKey });
  return { context, serverName, greets: true };
}

async function listen(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  return resources.use(await startFakeDaemon({ tls, ...options }));
}

async function open(
  { host, port }: Pick<FakeDaemon, 'host' | 'port'>,
  more: Partial<DirectOptions> = {},
  signal = never,
): Promise<CountedDuplex> {
  const stream = await openDirect({ address: host, port, tls: clientOf(), ...more }, signal);
  resources.defer(() => {
    stream.on('error', () => undefined).destroy();
  });
  return stream;
}

async function failureOf(opening: Promise<unknown>): Promise<unknown> {
  return opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

describe('openDirect', () => {
  it('resolves when the daemon has greeted, with nothing lost, and counts what goes over the wire', async () => {
    const stream = await open(await listen());
    expect(String(stream.read())).toBe(greeting);
    const before = stream.bytesWritten ?? 0;
    // The handshake alone has a certificate in it.
    expect(before).toBeGreaterThan(400);
    stream.write('hello');
    await until(() => stream.readableLength === 5);
    expect(String(stream.read())).toBe('hello');
    expect(stream.bytesWritten).toBeGreaterThan(before + 5);
  });

  it('connects while the certificates are still being read', async () => {
    const daemon = await listen();
    const { promise, resolve } = Promise.withResolvers<TlsClient>();
    const opening = open(daemon, { tls: promise });
    await until(() => daemon.connections === 1);
    resolve(clientOf());
    expect(String((await opening).read())).toBe(greeting);
  });

  it('fails with what the reading of certificates fails with', async () => {
    const daemon = await listen();
    const opening = open(daemon, { tls: Promise.reject(new Error('no Secret')) });
    expect(await failureOf(opening)).toMatchObject({
      message: expect.stringContaining('no Secret'),
    });
    await until(() => daemon.open.size === 0);
  });

  it('tells what does not listen yet, and that it was reached', async () => {
    const daemon = await listen();
    await daemon[Symbol.asyncDispose]();
    let reached = 0;
    const failure = await failureOf(open(daemon, { onReached: () => (reached += 1) }));
    expect(failure).toMatchObject({
      code: 'CONNECTION_FAILED',
      kind: 'not-listening',
      message: `nothing listens at 127.0.0.1:${daemon.port}`,
    });
    expect(reached).toBe(1);
  });

  it('believes neither another authority, nor another name, nor what is out of date', async () => {
    const old = await makeBuilderTls('b', { validMs: hourMs, now: Date.now() - 2 * hourMs });
    const other = await makeBuilderTls('b', { validMs: hourMs });
    const daemon = await listen();
    const cases = [
      [open(daemon, { tls: clientOf('buildkitd.b', other.ca) }), 'not signed by'],
      [open(daemon, { tls: clientOf('buildkitd.c') }), 'is for another name'],
      [open(await listen({ tls: old }), { tls: clientOf('buildkitd.b', old.ca) }), 'out of date'],
      [open(await listen({ tls: undefined! })), 'does not speak TLS'],
    ] as const;
    for (const [opening, words] of cases) {
      expect(await failureOf(opening)).toMatchObject({
        code: 'CONNECTION_REFUSED',
        kind: 'impossible',
        message: expect.stringContaining(words),
      });
    }
    await until(() => daemon.open.size === 0);
  });

  it('takes a server that closes without a word for one that may come back', async () => {
    const daemon = await listen({ serve: (socket) => socket.end() });
    expect(await failureOf(open(daemon))).toMatchObject({
      kind: 'passing',
      message: expect.stringMatching(/closed the connection: .*without a word/),
    });
  });

  it('gives up what does not answer in time, and leaves nothing open', async () => {
    const daemon = await listen({ tls: undefined!, serve: silence });
    expect(await failureOf(open(daemon, { timeoutMs: 50 }))).toMatchObject({
      kind: 'refused',
      message: `127.0.0.1:${daemon.port} did not answer within 0.05 s`,
      hint: expect.stringContaining('addresses of pods'),
    });
    await until(() => daemon.open.size === 0);
  });

  it('ends with the signal, and not once it is open', async () => {
    const daemon = await listen({ tls: undefined!, serve: silence });
    const controller = new AbortController();
    const opening = failureOf(open(daemon, {}, controller.signal));
    await until(() => daemon.open.size === 1);
    controller.abort(new Error('enough'));
    expect(await opening).toMatchObject({ message: 'enough' });
    await until(() => daemon.open.size === 0);
    const later = new AbortController();
    const stream = await open(await listen(), {}, later.signal);
    later.abort();
    stream.read();
    stream.write('x');
    await until(() => stream.readableLength === 1);
  });
});
