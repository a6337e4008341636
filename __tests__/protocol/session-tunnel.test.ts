import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Session } from '../../src/session/session.ts';
import { TunnelStream, type SessionDialer } from '../../src/session/tunnel.ts';
import { FakeBuildkitd, grpcFrame, type FakeCall } from '../fakes/fake-buildkitd.ts';
import { readFrames } from '../fakes/fake-session-daemon.ts';
import { okHeaders, RawHttp2Server, type RawRequest } from '../fakes/raw-http2.ts';

const kibibyte = 1024;
const mebibyte = 1024 * 1024;
const never = new AbortController().signal;

/** Dials `Control/Session` of a fake by hand, and everything it opened is closed with it. */
function dialerOf(fake: { dial(): Promise<Duplex> }): SessionDialer & AsyncDisposable {
  const opened: { destroy(): void }[] = [];
  const dial: SessionDialer = async (metadata) => {
    const socket = await fake.dial();
    const client = connectHttp2('http://localhost', { createConnection: () => socket });
    client.on('error', () => undefined);
    opened.push(client, socket);
    const headers: Record<string, string[]> = {};
    for (const [name, value] of metadata) (headers[name] ??= []).push(value);
    return client.request({
      ':method': 'POST',
      ':path': '/moby.buildkit.v1.Control/Session',
      'content-type': 'application/grpc',
      ...headers,
    });
  };
  return Object.assign(dial, {
    [Symbol.asyncDispose]: () => {
      for (const each of opened) each.destroy();
      return Promise.resolve();
    },
  });
}

interface Tunnel extends AsyncDisposable {
  readonly tunnel: TunnelStream;
  readonly rpc: ClientHttp2Stream;
  /** The daemon's end. */
  readonly call: FakeCall;
}

async function openTunnel(): Promise<Tunnel> {
  const stack = new AsyncDisposableStack();
  const { promise, resolve } = Promise.withResolvers<FakeCall>();
  const fake = stack.use(await FakeBuildkitd.start({ Session: resolve }));
  const rpc = await stack.use(dialerOf(fake))([], never);
  const tunnel = new TunnelStream(rpc);
  tunnel.on('error', () => undefined);
  stack.defer(() => void tunnel.destroy());
  return { tunnel, rpc, call: await promise, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A BytesMessage as protobuf lays it out: field 1, length, bytes. */
function bytesMessage(data: Buffer): Buffer {
  const length: number[] = [];
  let rest = data.length;
  for (; rest > 127; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.of(0x0a, ...length, rest), data]);
}

/** The data of a BytesMessage; throws when it is anything but that one field. */
function dataOf(message: Buffer): Buffer {
  let at = 1;
  let length = 0;
  for (let shift = 0; ; shift += 7, at += 1) {
    length |= ((message[at] ?? 0) & 127) << shift;
    if ((message[at] ?? 0) < 128) break;
  }
  if (message[0] !== 0x0a || at + 1 + length !== message.length) throw new Error('no BytesMessage');
  return message.subarray(at + 1);
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function errorOf(stream: Duplex): Promise<unknown> {
  stream.resume();
  return finished(stream).then(
    () => 'no error',
    (error: unknown) => error,
  );
}

const lost = (text: string): unknown =>
  expect.objectContaining({
    code: 'SESSION_TUNNEL_LOST',
    message: expect.stringContaining(text) as unknown,
  });

describe('TunnelStream', () => {
  describe('sending', () => {
    it('puts all bytes in order into messages that are never empty and never large', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      const received = collect(call.stream);
      const sent = createHash('sha256');
      const sizes = [0, 1, 127, 128, 0, 0, 16_384, mebibyte, mebibyte + 1, 3 * mebibyte, 5, 0];
      for (const size of sizes) {
        const bytes = randomBytes(size);
        sent.update(bytes);
        tunnel.write(bytes);
      }
      tunnel.end();
      const messages = readFrames(await received).map(dataOf);
      const lengths = messages.map((message) => message.length);
      expect(Math.min(...lengths)).toBeGreaterThan(0);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(mebibyte);
      expect(createHash('sha256').update(Buffer.concat(messages)).digest('hex')).toBe(
        sent.digest('hex'),
      );
    });

    it('gathers what is written while the connection is busy', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      const received = collect(call.stream);
      tunnel.cork();
      for (let count = 0; count < 1000; count += 1) tunnel.write(Buffer.alloc(100, count));
      tunnel.uncork();
      tunnel.end();
      const messages = readFrames(await received).map(dataOf);
      expect(Buffer.concat(messages)).toHaveLength(100_000);
      expect(messages).toHaveLength(1);
    });

    it('sends nothing for a write of nothing', async () => {
      await using open = await openTunnel();
      const received = collect(open.call.stream);
      open.tunnel.write(Buffer.alloc(0));
      open.tunnel.end();
      expect(await received).toHaveLength(0);
    });

    it('waits for a daemon that does not read', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      let takenBytes = 0;
      for (let count = 0; count < 64; count += 1) {
        tunnel.write(Buffer.alloc(256 * kibibyte), () => (takenBytes += 256 * kibibyte));
      }
      tunnel.end();
      await sleep(100);
      expect(takenBytes).toBeLessThan(3 * mebibyte);
      const messages = readFrames(await collect(call.stream)).map(dataOf);
      expect(Buffer.concat(messages)).toHaveLength(16 * mebibyte);
    });
  });

  describe('receiving', () => {
    it('joins the data of messages and passes over empty ones', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      const parts = [
        Buffer.from('one '),
        Buffer.alloc(0),
        Buffer.from('two '),
        randomBytes(70_000),
      ];
      for (const part of parts) call.reply({ data: part });
      call.stream.write(
        grpcFrame(Buffer.concat([Buffer.of(0x10, 0x07), bytesMessage(Buffer.from('!'))])),
      );
      call.end();
      expect((await collect(tunnel)).equals(Buffer.concat([...parts, Buffer.from('!')]))).toBe(
        true,
      );
    });

    it('takes messages that are cut anywhere', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      const data = randomBytes(200);
      const bytes = Buffer.concat([grpcFrame(bytesMessage(data)), grpcFrame(bytesMessage(data))]);
      call.reply({ data: Buffer.alloc(0) });
      for (const byte of bytes) call.stream.write(Buffer.of(byte));
      call.end();
      expect((await collect(tunnel)).equals(Buffer.concat([data, data]))).toBe(true);
    });

    it('takes an answer whose headers, data and status come in one read', async () => {
      const answer = (request: RawRequest): void => {
        request.send(
          request.headers(okHeaders),
          request.data(grpcFrame(bytesMessage(Buffer.from('at once')))),
          request.headers({ 'grpc-status': '0' }, { end: true }),
        );
      };
      await using server = await RawHttp2Server.start(answer);
      await using dial = dialerOf(server);
      const tunnel = new TunnelStream(await dial([], never));
      // Reads at once, when the answer is still to come.
      expect(String(await collect(tunnel))).toBe('at once');
    });

    it('makes the daemon wait when nobody reads, and loses nothing', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      let takenBytes = 0;
      call.reply({ data: Buffer.alloc(0) });
      const frame = grpcFrame(bytesMessage(Buffer.alloc(256 * kibibyte, 'x')));
      for (let count = 0; count < 64; count += 1) {
        call.stream.write(frame, () => (takenBytes += frame.length));
      }
      call.end();
      await sleep(100);
      expect(takenBytes).toBeLessThan(3 * mebibyte);
      expect(await collect(tunnel)).toHaveLength(16 * mebibyte);
    });
  });

  describe('ending', () => {
    it('half-closes and takes whatever the daemon then says', async () => {
      await using open = await openTunnel();
      const { tunnel, call } = open;
      call.stream.resume();
      call.stream.on('end', () => {
        call.reply({ data: Buffer.from('last words') });
        call.end(1, 'context canceled');
      });
      tunnel.end(Buffer.from('bye'));
      expect(String(await collect(tunnel))).toBe('last words');
    });

    it('resets the RPC when it is destroyed', async () => {
      await using open = await openTunnel();
      open.tunnel.destroy();
      expect(await open.call.closed).toBe(8);
    });

    it.each<[string, (call: FakeCall) => void, unknown]>([
      [
        'a status',
        (call) => {
          call.end(14, 'shütting down');
        },
        lost('gRPC status 14: shütting down'),
      ],
      [
        'a status after data',
        (call) => {
          call.reply({ data: Buffer.from('x') });
          call.end(13, 'session healthcheck failed fatally');
        },
        lost('gRPC status 13: session healthcheck failed fatally'),
      ],
      [
        'a reset',
        (call) => {
          call.stream.close(2);
        },
        lost(''),
      ],
      [
        'a quiet reset',
        (call) => {
          call.stream.close(0);
        },
        lost('HTTP/2 code 0'),
      ],
      [
        'a status of HTTP',
        (call) => {
          call.stream.respond({ ':status': 503 });
        },
        lost('HTTP status 503'),
      ],
      [
        'a compressed message',
        (call) => {
          call.reply({ data: Buffer.from('x') });
          call.stream.write(Buffer.from('010000000161', 'hex'));
        },
        lost('malformed data'),
      ],
      [
        'a message that is none',
        (call) => {
          call.reply({ data: Buffer.from('x') });
          call.stream.write(grpcFrame(Buffer.from('0aff', 'hex')));
        },
        lost('malformed data'),
      ],
      [
        'half a message',
        (call) => {
          call.reply({ data: Buffer.from('x') });
          call.stream.write(Buffer.from('0000000009', 'hex'));
          call.end(0);
        },
        lost('malformed data'),
      ],
    ])('by %s is a loss', async (_name, end, expected) => {
      await using open = await openTunnel();
      const outcome = errorOf(open.tunnel);
      end(open.call);
      expect(await outcome).toEqual(expected);
    });

    it('with the connection is a loss', async () => {
      await using fake = await FakeBuildkitd.start({ Session: () => undefined });
      await using dial = dialerOf(fake);
      const tunnel = new TunnelStream(await dial([], never));
      const outcome = errorOf(tunnel);
      tunnel.write(Buffer.from('x'));
      await sleep(20);
      fake.cut();
      expect(await outcome).toEqual(lost(''));
    });

    it('before it began is a loss', async () => {
      await using fake = await FakeBuildkitd.start({ Session: () => undefined });
      await using dial = dialerOf(fake);
      const rpc = await dial([], never);
      rpc.on('error', () => undefined);
      rpc.destroy();
      await once(rpc, 'close');
      expect(await errorOf(new TunnelStream(rpc))).toEqual(lost('before it was used'));
    });
  });
});

describe('Session.run', () => {
  it('serves through the tunnel what the daemon calls, in both directions and at length', async () => {
    const echo = new Session({
      sharedKey: 'k',
      attachables: [
        {
          methods: {
            '/test.Service/Echo': async (call) => {
              for await (const message of call.messages()) await call.send([message, message]);
            },
          },
        },
      ],
    });
    const opened = Promise.withResolvers<FakeCall>();
    await using fake = await FakeBuildkitd.start({ Session: opened.resolve });
    await using dial = dialerOf(fake);
    const stop = new AbortController();
    const running = echo.run(dial, stop.signal);
    const call = await opened.promise;
    expect(call.header('x-docker-expose-session-uuid')).toEqual([echo.id]);
    expect(call.header('x-docker-expose-session-sharedkey')).toEqual(['k']);
    expect(call.header('x-docker-expose-session-grpc-method')).toEqual([
      '/grpc.health.v1.Health/Check',
      '/grpc.health.v1.Health/List',
      '/grpc.health.v1.Health/Watch',
      '/test.Service/Echo',
    ]);

    const inner = connectHttp2('http://localhost', { createConnection: () => daemonSide(call) });
    inner.on('error', () => undefined);
    const stream = inner.request({
      ':method': 'POST',
      ':path': '/test.Service/Echo',
      'content-type': 'application/grpc',
    });
    const payload = randomBytes(2 * mebibyte);
    for (let count = 0; count < 5; count += 1) stream.write(grpcFrame(payload));
    stream.end();
    const answers = readFrames(await collect(stream));
    expect(answers).toHaveLength(5);
    expect(answers.every((each) => each.equals(Buffer.concat([payload, payload])))).toBe(true);

    stop.abort();
    await running;
    expect(await call.closed).toBe(0);
    inner.destroy();
  });

  it('takes header blocks of any size', async () => {
    const session = new Session({
      sharedKey: '',
      attachables: [
        {
          methods: {
            '/test.Service/Patterns': async (call) => {
              await call.send(Buffer.from(call.header('exclude-patterns').join('\n')));
            },
          },
        },
      ],
    });
    const opened = Promise.withResolvers<FakeCall>();
    await using fake = await FakeBuildkitd.start({ Session: opened.resolve });
    await using dial = dialerOf(fake);
    const stop = new AbortController();
    const running = session.run(dial, stop.signal);
    const side = daemonSide(await opened.promise);
    const inner = connectHttp2('http://localhost', {
      createConnection: () => side,
      maxSendHeaderBlockLength: 16 * mebibyte,
    });
    inner.on('error', () => undefined);
    // The limit on frames holds once both sides know it, as at a daemon that calls later.
    await once(inner, 'remoteSettings');
    for (const count of [1, 4000, 30_000, 5]) {
      const patterns = Array.from(
        { length: count },
        (_, index) => `src/${index}/${count}/**/*.tmp`,
      );
      const stream = inner.request(
        {
          ':method': 'POST',
          ':path': '/test.Service/Patterns',
          'content-type': 'application/grpc',
          'exclude-patterns': patterns,
        },
        { endStream: true },
      );
      const [answer] = readFrames(await collect(stream));
      expect(String(answer).split('\n')).toEqual(patterns);
    }
    stop.abort();
    await running;
    inner.destroy();
  });

  it('fails when the connection was gone before the daemon said a word', async () => {
    const session = new Session({ sharedKey: '', attachables: [] });
    await using fake = await FakeBuildkitd.start({ Session: () => undefined });
    await using dial = dialerOf(fake);
    const goneDialer: SessionDialer = async (metadata, signal) => {
      const rpc = await dial(metadata, signal);
      rpc.on('error', () => undefined);
      rpc.destroy();
      await once(rpc, 'close');
      return rpc;
    };
    await expect(session.run(goneDialer, never)).rejects.toEqual(lost('before it was used'));
  });

  it('fails as the tunnel does', async () => {
    const session = new Session({ sharedKey: '', attachables: [] });
    await using fake = await FakeBuildkitd.start({
      Session: (call) => {
        call.end(14, 'going away');
      },
    });
    await using dial = dialerOf(fake);
    await expect(session.run(dial, never)).rejects.toEqual(lost('going away'));
  });
});

/** The byte stream that the daemon sees, over hand-made messages. */
function daemonSide(call: FakeCall): Duplex {
  const { stream } = call;
  let pending = Buffer.alloc(0);
  const side = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      if (stream.destroyed) done();
      else if (call.reply({ data: chunk })) done();
      else stream.once('drain', done);
    },
    final: (done) => {
      call.end();
      done();
    },
  });
  stream.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (const message of readFrames(pending)) {
      pending = pending.subarray(5 + message.length);
      side.push(dataOf(message));
    }
  });
  stream.on('end', () => {
    side.push(null);
  });
  return side;
}
