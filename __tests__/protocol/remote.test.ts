import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import type { RemoteEndpoint, RemoteTls } from '../../src/options/options.ts';
import { RemoteBuilder } from '../../src/remote/remote-builder.ts';
import type { CountedDuplex, Dialer } from '../../src/shared/dialer.ts';
import { type Logger, nullLogger } from '../../src/shared/logger.ts';
import {
  type FakeDaemon,
  type FakeDaemonOptions,
  greeting,
  startFakeDaemon,
} from '../fakes/fake-daemon.ts';
import { TestAuthority } from '../fakes/test-certificates.ts';

const never = new AbortController().signal;
const pair = await makeBuilderTls('b', { validMs: 3_600_000 });
const client: RemoteTls = {
  ca: pair.ca,
  cert: pair.clientCert,
  key: pair.clientKey,
  serverName: 'buildkitd.b',
};
let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

interface Remote {
  readonly builder: RemoteBuilder;
  readonly lines: string[];
}

function remote(endpoint: RemoteEndpoint, timeoutMs = 300): Remote {
  const lines: string[] = [];
  const logger: Logger = { ...nullLogger, info: (line) => lines.push(line) };
  return { builder: new RemoteBuilder({ endpoint, timeoutMs, logger }), lines };
}

async function listen(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  return resources.use(await startFakeDaemon(options));
}

function urlOf({ port }: { readonly port: number }): string {
  return `tcp://127.0.0.1:${port}`;
}

async function open(dial: Dialer, signal: AbortSignal): Promise<CountedDuplex> {
  const stream = await dial(signal);
  resources.defer(() => {
    stream.on('error', () => undefined).destroy();
  });
  return stream;
}

async function greet(dial: Dialer, signal: AbortSignal): Promise<string> {
  const stream = await open(dial, signal);
  if (stream.readableLength === 0) await once(stream, 'readable');
  return String(stream.read());
}

async function failureOf({ builder }: Remote, how: typeof greet = greet): Promise<unknown> {
  return builder.connect(how, never).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}

const connect = async (dial: Dialer, signal: AbortSignal): Promise<string> =>
  (await BuildkitConnection.open(dial, signal)).version;

describe('a remote daemon', () => {
  it('is reached over TCP', async () => {
    const daemon = await listen();
    const { builder } = remote({ url: urlOf(daemon), tls: undefined });
    expect(await builder.connect(greet, never)).toBe(greeting);
    expect(builder.endpoint).toBe(urlOf(daemon));
  });

  it('is reached over a unix socket, also one that comes later', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'remote-'));
    resources.defer(() => {
      rmSync(folder, { recursive: true });
    });
    const path = join(folder, 'buildkitd.sock');
    const { builder, lines } = remote({ url: `unix://${path}`, tls: undefined }, 60_000);
    const reached = builder.connect(greet, never);
    while (lines.length === 0) await new Promise(setImmediate);
    const server = createServer((socket) => socket.end(greeting)).listen(path);
    resources.defer(async () => {
      server.close();
      await once(server, 'close');
    });
    expect(await reached).toBe(greeting);
    expect(lines).toEqual([
      `Waiting for BuildKit: no connection to unix://${path}: there is no such socket`,
    ]);
  });

  it('is reached with mutual TLS, by a name or by an address of its certificate', async () => {
    const daemon = await listen({ tls: pair });
    const { builder } = remote({ url: urlOf(daemon), tls: client });
    expect(await builder.connect(greet, never)).toBe(greeting);
    const authority = new TestAuthority();
    const server = authority.issue('daemon', ['127.0.0.1']);
    const user = authority.issue('user');
    const other = await listen({ tls: { ca: authority.cert, cert: server.cert, key: server.key } });
    const tls = { ...user, ca: authority.cert, serverName: undefined };
    const { builder: byAddress } = remote({ url: urlOf(other), tls });
    expect(await byAddress.connect(greet, never)).toBe(greeting);
  });

  it('need not speak first where a proxy may stand before it', async () => {
    const daemon = await listen({ tls: pair, serve: (socket) => void socket.pipe(socket) });
    const { builder } = remote({ url: urlOf(daemon), tls: client }, 60_000);
    const stream = await builder.connect(open, never);
    stream.write('x');
    await once(stream, 'readable');
    expect(String(stream.read())).toBe('x');
  });

  it('is waited for until the time is up', async () => {
    const daemon = await listen();
    await daemon[Symbol.asyncDispose]();
    const there = remote({ url: urlOf(daemon), tls: undefined });
    expect(await failureOf(there)).toMatchObject({
      code: 'REMOTE_UNREACHABLE',
      message: `no connection to ${urlOf(daemon)}: nothing listens there (for 0 s)`,
      hint: expect.stringContaining('endpoint'),
    });
    expect(there.lines).toHaveLength(1);
  });

  it('is told by what is wrong with certificates, at once', async () => {
    const daemon = await listen({ tls: pair });
    const stranger = await makeBuilderTls('b', { validMs: 3_600_000 });
    const url = urlOf(daemon);
    const cases = [
      [{ ...client, ca: stranger.ca }, 'not signed by', 'authority of the daemon'],
      [{ ...client, serverName: 'elsewhere' }, 'is for another name', 'servername='],
    ] as const;
    for (const [tls, message, hint] of cases) {
      expect(await failureOf(remote({ url, tls }, 3_600_000))).toMatchObject({
        code: 'REMOTE_REFUSED',
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      });
    }
    expect(() => remote({ url, tls: { ...client, key: stranger.clientKey } })).toThrow(
      expect.objectContaining({ code: 'REMOTE_REFUSED' }),
    );
  });

  it('says that plain text is spoken where TLS was asked for', async () => {
    const daemon = await listen();
    const there = remote({ url: urlOf(daemon), tls: client }, 3_600_000);
    expect(await failureOf(there)).toMatchObject({
      code: 'REMOTE_REFUSED',
      message: expect.stringContaining('it does not speak TLS'),
    });
  });

  it('says that TLS is spoken where no certificates were given', async () => {
    const open = new Set<Socket>();
    // As servers in Go do: an alert, and the end.
    const server = createTlsServer({ cert: pair.cert, key: pair.key, ALPNProtocols: ['h2'] });
    server.on('connection', (socket: Socket) => open.add(socket));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    resources.defer(async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    });
    const { port } = server.address() as { port: number };
    const there = remote({ url: urlOf({ port }), tls: undefined }, 3_600_000);
    expect(await failureOf(there, connect)).toMatchObject({
      code: 'REMOTE_REFUSED',
      message: `tcp://127.0.0.1:${port} speaks TLS, and no certificates were given`,
      hint: expect.stringContaining('BUILDER_NODE_0_AUTH_TLS_CACERT'),
    });
  });

  it('says that something else answers', async () => {
    const daemon = await listen({
      serve: (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    });
    const there = remote({ url: urlOf(daemon), tls: undefined }, 1_000);
    expect(await failureOf(there, connect)).toMatchObject({
      code: 'REMOTE_UNREACHABLE',
      message: expect.stringContaining('does not answer as BuildKit'),
    });
  });

  it('ends with the signal', async () => {
    const daemon = await listen();
    await daemon[Symbol.asyncDispose]();
    const { builder, lines } = remote({ url: urlOf(daemon), tls: undefined }, 3_600_000);
    const controller = new AbortController();
    const waiting = builder.connect(greet, controller.signal);
    while (lines.length === 0) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  it('that was lost is described by how it is now', async () => {
    const daemon = await listen();
    const { builder } = remote({ url: urlOf(daemon), tls: undefined });
    const cause = new Error('read ECONNRESET');
    expect(await builder.explainLoss(never, cause)).toMatchObject({
      code: 'REMOTE_LOST',
      message: expect.stringMatching(/lost during the build; it can be reached again$/),
      cause,
    });
    await daemon[Symbol.asyncDispose]();
    expect(await builder.explainLoss(never, cause)).toMatchObject({
      message: expect.stringMatching(/nothing listens there$/),
    });
  });

  it('answers anew once it greets, not when only its machine takes the connection', async () => {
    const daemon = await listen();
    const { builder } = remote({ url: urlOf(daemon), tls: undefined });
    let reached = 0;
    const note = (): void => {
      reached += 1;
    };
    await builder.answers(never, note);
    expect(reached).toBe(1);
    const busy = await listen({ serve: () => undefined });
    const asking = new AbortController();
    const { builder: other } = remote({ url: urlOf(busy), tls: undefined });
    const answer = other.answers(asking.signal, () => {
      note();
      // Time enough for an answer that does not wait for a greeting.
      setImmediate(() => {
        asking.abort(new Error('enough'));
      });
    });
    await expect(answer).rejects.toThrow('enough');
    expect(reached).toBe(2);
  });
});
