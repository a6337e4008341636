import { afterEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import type { ExecProtocol } from '../../src/kubernetes/exec/exec-codec.ts';
import type { ExecStream } from '../../src/kubernetes/exec/exec-stream.ts';
import {
  openExecStream,
  type OpenExecOptions,
} from '../../src/kubernetes/exec/open-exec-stream.ts';
import {
  exitStatus,
  type FakeExecOptions,
  type FakeExecPeer,
  type FakeExecServer,
  type SpdyPeer,
  spdyData,
  spdyReply,
  startFakeExecServer,
  successStatus,
  webSocketMessage,
} from '../fakes/fake-exec-server.ts';

const protocols = ['spdy', 'websocket-v5', 'websocket-v4'] as const;

let resources = new AsyncDisposableStack();

afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

interface Opened {
  readonly stream: ExecStream;
  readonly peer: FakeExecPeer;
  readonly server: FakeExecServer;
}

async function open(
  protocol: ExecProtocol,
  options: Partial<OpenExecOptions> & { readonly fake?: FakeExecOptions } = {},
): Promise<Opened> {
  const server = resources.use(await startFakeExecServer(options.fake));
  const stream = await openExecStream({
    target: { server: server.url, tls: {}, headers: {} },
    namespace: 'ci',
    pod: 'builder-0',
    container: 'buildkitd',
    command: ['buildctl', 'dial-stdio'],
    signal: new AbortController().signal,
    protocols: [protocol],
    ...options,
  });
  resources.defer(() => {
    stream.on('error', () => undefined).destroy();
  });
  return { stream, peer: await server.nextPeer(), server };
}

/** Everything until the end, and the error instead of it. */
async function readAll(stream: ExecStream): Promise<{ text: string; error?: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return { text: Buffer.concat(chunks).toString() };
  } catch (error) {
    return { text: Buffer.concat(chunks).toString(), error };
  }
}

const sha256 = (...chunks: readonly Buffer[]): string =>
  chunks.reduce((hash, chunk) => hash.update(chunk), createHash('sha256')).digest('hex');

describe.each(protocols)('an exec over %s', (protocol) => {
  it('asks for the command in the named container, on the path of the server', async () => {
    const { server, stream } = await open(protocol, {
      container: 'a b',
      command: ['sh', '-c', 'echo "1&2"'],
    });
    expect(stream.protocol).toBe(protocol);
    const { method, target } = server.requests[0]!;
    expect(method).toBe(protocol === 'spdy' ? 'POST' : 'GET');
    const url = new URL(target, server.url);
    expect(url.pathname).toBe('/api/v1/namespaces/ci/pods/builder-0/exec');
    expect(url.searchParams.getAll('command')).toEqual(['sh', '-c', 'echo "1&2"']);
    expect(url.searchParams.get('container')).toBe('a b');
    for (const name of ['stdin', 'stdout', 'stderr']) {
      expect(url.searchParams.get(name)).toBe('true');
    }
    expect(url.searchParams.has('tty')).toBe(false);
  });

  it.each([false, true])('carries bytes both ways (one byte a packet: %s)', async (trickle) => {
    const { stream, peer } = await open(protocol, { fake: { peer: { trickle } } });
    const payload = randomBytes(1500);
    peer.onStdin = (data) => {
      peer.stdout(data);
    };
    stream.write(payload.subarray(0, 1));
    stream.write(payload.subarray(1));
    const received: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      received.push(chunk);
      if (Buffer.concat(received).length === payload.length) break;
    }
    expect(Buffer.concat(received)).toEqual(payload);
    expect(peer.violations).toEqual([]);
  });

  it('gathers writes into frames that are neither small nor large', async () => {
    const { stream, peer } = await open(protocol);
    const chunks = Array.from({ length: 3000 }, () => randomBytes(1000));
    for (const chunk of chunks) stream.write(chunk);
    const large = randomBytes(3_000_000);
    stream.write(large);
    await peer.until(() => peer.stdinBytes === 6_000_000);
    expect(sha256(...peer.stdin)).toBe(sha256(...chunks, large));
    expect(peer.stdin.length).toBeLessThan(60);
    expect(peer.largestFrameBytes).toBeLessThanOrEqual(1024 * 1024);
    expect(peer.violations).toEqual([]);
  });

  it('ends stdin after its last byte, and reads on', async () => {
    const { stream, peer } = await open(protocol);
    stream.end('last');
    await once(stream, 'finish');
    await peer.until(() => peer.stdinBytes === 4);
    if (protocol !== 'websocket-v4') await peer.until(() => peer.stdinEnded);
    peer.stdout('after');
    peer.status(successStatus);
    peer.close();
    expect(await readAll(stream)).toEqual({ text: 'after' });
    expect(await stream.exit).toEqual({ kind: 'exited', exitCode: 0 });
    expect(peer.stdinEnded).toBe(protocol !== 'websocket-v4');
    expect(peer.violations).toEqual([]);
    if (!stream.closed) await once(stream, 'close');
  });

  it('gives what was written before a failure, then the exit code with stderr', async () => {
    const { stream, peer } = await open(protocol);
    peer.stdout('partial');
    peer.stderr('x'.repeat(5000));
    peer.stderr('cannot connect to the daemon\n');
    peer.status(exitStatus(1));
    peer.close();
    await stream.exit;
    await nextTurn();
    const { text, error } = await readAll(stream);
    expect(text).toBe('partial');
    expect(error).toMatchObject({ code: 'EXEC_FAILED' });
    expect(String(error)).toMatch(
      /"buildctl dial-stdio" in pod ci\/builder-0 \(container buildkitd\) ended with exit code 1; it wrote: x+cannot connect to the daemon$/,
    );
    expect(stream.stderr.length).toBeLessThanOrEqual(4096);
    expect(await stream.exit).toEqual({ kind: 'exited', exitCode: 1 });
  });

  it('fails a writer at once, even when nobody reads', async () => {
    const { stream, peer } = await open(protocol);
    peer.stdout('unread');
    await once(stream, 'readable');
    peer.status(exitStatus(137));
    peer.close();
    const failed = once(stream, 'error');
    while (stream.writable) {
      stream.write('more');
      await sleep(1);
    }
    const [error] = (await failed) as [Error];
    expect(error).toMatchObject({ code: 'EXEC_FAILED' });
    expect(error.message).toContain('exit code 137, killed by signal 9');
  });

  it('tells why a command could not be run', async () => {
    const { stream, peer } = await open(protocol);
    const message = 'Internal error occurred: exec: "nosuch": executable file not found in $PATH é';
    peer.status(JSON.stringify({ status: 'Failure', reason: 'InternalError', message }));
    peer.close();
    const { error } = await readAll(stream);
    expect(error).toMatchObject({ code: 'EXEC_FAILED' });
    expect(String(error)).toContain(
      'could not be run (InternalError): exec: "nosuch": executable file not found in $PATH é',
    );
  });

  it('does not wait for the end of a connection whose command has ended', async () => {
    const { stream, peer } = await open(protocol);
    peer.stdout('all');
    peer.status(successStatus);
    expect(await readAll(stream)).toEqual({ text: 'all' });
  });

  it('tells a lost connection from an end', async () => {
    const { stream, peer } = await open(protocol);
    peer.stdout('half');
    await once(stream, 'readable');
    peer.socket.resetAndDestroy();
    const { error } = await readAll(stream);
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
    expect(String(error)).toContain('connection was lost');
    await expect(stream.exit).rejects.toMatchObject({ code: 'EXEC_CLOSED' });
  });

  it('tells an end without a status from success', async () => {
    const { stream, peer } = await open(protocol);
    peer.stdout('half');
    peer.close();
    const { text, error } = await readAll(stream);
    expect(text).toBe('half');
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
  });

  it('gives up on bytes that are not the protocol', async () => {
    const { stream, peer } = await open(protocol);
    peer.socket.write('HTTP/1.1 502 Bad Gateway\r\n\r\n'.repeat(2));
    peer.socket.write(Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    peer.socket.end();
    const { error } = await readAll(stream);
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
  });

  it('stops taking input when the far side does, and loses nothing of it', async () => {
    const { stream, peer } = await open(protocol);
    const chunk = randomBytes(64 * 1024);
    peer.socket.pause();
    let accepted = 0;
    for (let idle = 0; idle < 20; idle += 1) {
      while (!stream.writableNeedDrain && accepted < 200 * 1024 * 1024) {
        stream.write(chunk);
        accepted += chunk.length;
        idle = 0;
      }
      await sleep(5);
    }
    // Our buffers and both of the kernel, which loopback may grow to some megabytes.
    expect(accepted).toBeLessThan(32 * 1024 * 1024);
    peer.socket.resume();
    await once(stream, 'drain');
    await peer.until(() => peer.stdinBytes === accepted);
    const expected = Array.from({ length: accepted / chunk.length }, () => chunk);
    expect(sha256(...peer.stdin)).toBe(sha256(...expected));
  });

  it('stops the far side when nobody reads, and loses nothing of its output', async () => {
    const { stream, peer } = await open(protocol);
    const chunk = randomBytes(256 * 1024);
    let sent = 0;
    for (let idle = 0; idle < 20; idle += 1) {
      while (!peer.socket.writableNeedDrain && sent < 200 * 1024 * 1024) {
        peer.stdout(chunk);
        sent += chunk.length;
        idle = 0;
      }
      await sleep(5);
    }
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    expect(stream.readableLength).toBeLessThan(2 * 1024 * 1024);
    peer.status(successStatus);
    peer.close();
    const hash = createHash('sha256');
    for await (const data of stream as AsyncIterable<Buffer>) hash.update(data);
    const expected = Array.from({ length: sent / chunk.length }, () => chunk);
    expect(hash.digest('hex')).toBe(sha256(...expected));
  });

  it('pings, and stays while it is answered', async () => {
    const { stream, peer } = await open(protocol, { pingIntervalMs: 10 });
    await peer.until(() => peer.pings >= 8);
    peer.stdout('alive');
    const [data] = (await once(stream, 'data')) as [Buffer];
    expect(data.toString()).toBe('alive');
  });

  it('notices a peer that answers no more', async () => {
    const { stream, peer } = await open(protocol, {
      pingIntervalMs: 10,
      fake: { peer: { answerPings: false } },
    });
    const [error] = (await once(stream, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
    expect(error.message).toContain('no sign of life');
    expect(peer.pings).toBeGreaterThanOrEqual(2);
  });

  it('notices a peer that neither answers nor takes what is written', async () => {
    const { stream, peer } = await open(protocol, { pingIntervalMs: 20 });
    peer.socket.pause();
    stream.write(Buffer.alloc(64 * 1024 * 1024));
    const [error] = (await once(stream, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'EXEC_CLOSED' });
    expect(error.message).toContain('no sign of life');
  });

  it('takes no offence at pings that wait behind unread output', async () => {
    const { stream, peer } = await open(protocol, { pingIntervalMs: 10 });
    for (let count = 0; count < 64; count += 1) peer.stdout(Buffer.alloc(1024 * 1024));
    await peer.until(() => peer.pings >= 10);
    expect(stream.errored).toBeNull();
    let sizeBytes = 0;
    for await (const data of stream as AsyncIterable<Buffer>) {
      sizeBytes += data.length;
      if (sizeBytes === 64 * 1024 * 1024) break;
    }
    expect(sizeBytes).toBe(64 * 1024 * 1024);
  });

  it('answers pings', async () => {
    const { peer } = await open(protocol);
    peer.ping('42');
    await peer.until(() => peer.pongs.length > 0);
    expect(peer.pongs).toEqual(['42']);
  });

  it('cuts the connection when it is destroyed', async () => {
    const { stream, peer } = await open(protocol);
    stream.destroy();
    await expect(stream.exit).rejects.toMatchObject({ code: 'EXEC_CLOSED' });
    await peer.until(() => peer.socket.destroyed);
    expect(stream.errored).toBeNull();
  });

  it('refuses a writer whose command has ended well', async () => {
    const { stream, peer } = await open(protocol);
    peer.status(successStatus);
    peer.close();
    await stream.exit;
    expect(await readAll(stream)).toEqual({ text: '' });
    expect(stream.writable).toBe(false);
  });

  it('carries HTTP/2, whose server speaks first', async () => {
    const settings = Buffer.from('000000040000000000', 'hex');
    const early =
      protocol === 'spdy'
        ? spdyData(5, settings)
        : webSocketMessage(Buffer.concat([Buffer.of(1), settings]));
    const { stream, peer } = await open(protocol, { fake: { peer: { withUpgrade: early } } });
    const client = connect('http://buildkitd', { createConnection: () => stream });
    const [remote] = (await once(client, 'remoteSettings')) as [object];
    expect(remote).toBeDefined();
    await peer.until(() => peer.stdinBytes > 24);
    expect(Buffer.concat(peer.stdin).toString('latin1')).toMatch(/^PRI \* HTTP\/2\.0/);
    const call = client.request({ [constants.HTTP2_HEADER_PATH]: '/' });
    const failed = once(call, 'error');
    const sessionFailed = once(client, 'error');
    peer.status(exitStatus(1));
    peer.close();
    await failed;
    const [error] = (await sessionFailed) as [Error];
    expect(error).toMatchObject({ code: 'EXEC_FAILED' });
  });
});

describe('the opening over SPDY', () => {
  it('opens the four streams in the order of kubectl', async () => {
    const { peer } = await open('spdy');
    expect([...(peer as SpdyPeer).streams]).toEqual([
      [1, 'error'],
      [3, 'stdin'],
      [5, 'stdout'],
      [7, 'stderr'],
    ]);
    expect(peer.violations).toEqual([]);
  });

  it('waits for the reply of every stream', async () => {
    const server = resources.use(
      await startFakeExecServer({
        peer: { answerStream: (id) => (id === 5 ? Buffer.alloc(0) : spdyReply(id)) },
      }),
    );
    const opening = openExecStream({
      target: { server: server.url, tls: {}, headers: {} },
      namespace: 'ci',
      pod: 'p',
      container: 'c',
      command: ['cat'],
      signal: new AbortController().signal,
      protocols: ['spdy'],
    });
    let settled = false;
    void opening.finally(() => (settled = true));
    const peer = (await server.nextPeer()) as SpdyPeer;
    await peer.until(() => peer.streams.size === 4);
    await sleep(20);
    expect(settled).toBe(false);
    peer.write(spdyReply(5));
    (await opening).destroy();
  });

  it('loses no byte that overtakes a reply', async () => {
    const { stream } = await open('spdy', {
      fake: {
        peer: {
          answerStream: (id) =>
            id === 7
              ? Buffer.concat([spdyData(5, Buffer.from('early')), spdyReply(7)])
              : spdyReply(id),
        },
      },
    });
    const [data] = (await once(stream, 'data')) as [Buffer];
    expect(data.toString()).toBe('early');
  });
});

describe('the opening over WebSocket', () => {
  it('fails when the command failed in the same breath', async () => {
    const status = webSocketMessage(Buffer.from(`\x03${exitStatus(126)}`));
    const close = Buffer.of(0x88, 2, 0x03, 0xe8);
    const opening = open('websocket-v5', {
      fake: { peer: { withUpgrade: Buffer.concat([status, close]) } },
    });
    await expect(opening).rejects.toMatchObject({ code: 'EXEC_FAILED' });
  });
});
