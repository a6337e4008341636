import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionMethod } from '../../src/session/attachable.ts';
import { grpcStatus, SessionError } from '../../src/session/errors.ts';
import { Session } from '../../src/session/session.ts';
import { grpcFrame } from '../fakes/fake-buildkitd.ts';
import {
  byteByByte,
  FakeSessionDaemon,
  http2Frame,
  socketPair,
} from '../fakes/fake-session-daemon.ts';

const mebibyte = 1024 * 1024;
const path = '/test.Service/Call';

function sessionOf(method: SessionMethod): Session {
  return new Session({ sharedKey: 'key', attachables: [{ methods: { [path]: method } }] });
}

/** Sends back each message that comes. */
const echo: SessionMethod = async (call) => {
  for await (const message of call.messages()) await call.send(message);
};

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no error',
    (error: unknown) => error,
  );
}

describe('Session', () => {
  describe('metadata', () => {
    it('names the session, its key and each method in a field of its own', () => {
      const session = new Session({
        sharedKey: 'github.com/acme/app:.',
        attachables: [{ methods: { '/a.B/C': echo, '/a.B/D': echo } }],
      });
      expect(session.metadata).toEqual([
        ['x-docker-expose-session-uuid', session.id],
        ['x-docker-expose-session-sharedkey', 'github.com/acme/app:.'],
        ['x-docker-expose-session-grpc-method', '/grpc.health.v1.Health/Check'],
        ['x-docker-expose-session-grpc-method', '/grpc.health.v1.Health/List'],
        ['x-docker-expose-session-grpc-method', '/grpc.health.v1.Health/Watch'],
        ['x-docker-expose-session-grpc-method', '/a.B/C'],
        ['x-docker-expose-session-grpc-method', '/a.B/D'],
      ]);
      expect(session.id).toMatch(/^[0-9a-z]{25}$/);
      expect(new Session({ sharedKey: '', attachables: [] }).id).not.toBe(session.id);
    });

    it.each(['büild', 'line\nbreak', ' edge', 'x'.repeat(5000)])(
      'has a stable printable key for %j',
      (sharedKey) => {
        const keyOf = (key: string): string =>
          new Session({ sharedKey: key, attachables: [] }).sharedKey;
        expect(keyOf(sharedKey)).toMatch(/^[\x21-\x7e]{1,200}$/);
        expect(keyOf(sharedKey)).toBe(keyOf(sharedKey));
        expect(keyOf(sharedKey)).not.toBe(keyOf(`${sharedKey}.`));
      },
    );
  });

  describe('health', () => {
    it('answers Check and List', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const check = await daemon.unary('/grpc.health.v1.Health/Check', [Buffer.alloc(0)]);
      expect(check).toMatchObject({ status: 0, messages: [Buffer.from('0801', 'hex')] });
      const list = await daemon.unary('/grpc.health.v1.Health/List', [Buffer.alloc(0)]);
      expect(list.status).toBe(0);
      expect(list.messages.map((message) => message.toString('hex'))).toEqual([
        expect.stringMatching(/^0a0(4|60a00)12020801$/),
      ]);
    });

    it('answers Watch once and keeps it open until the daemon goes', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const watch = daemon.call('/grpc.health.v1.Health/Watch');
      watch.send(Buffer.alloc(0));
      watch.stream.end();
      await once(watch.stream, 'data');
      watch.stream.close(8);
      expect((await watch.ended).messages).toEqual([Buffer.from('0801', 'hex')]);
    });
  });

  describe('calls', () => {
    it('gives each header field apart, thousands of them, as they were sent', async () => {
      const patterns = Array.from(
        { length: 4000 },
        (_, index) => `dir ${index}/a, b/**/${index}.o`,
      );
      patterns.push('', ' leading', 'trailing ', 'a,b', 'same', 'same');
      const session = sessionOf(async (call) => {
        await call.send(Buffer.from(JSON.stringify(call.header('Exclude-Patterns'))));
        await call.send(Buffer.from(JSON.stringify([call.header('dir-name'), call.header('no')])));
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const end = await daemon.unary(path, [], { 'exclude-patterns': patterns, 'dir-name': 'ctx' });
      expect(end.status).toBe(0);
      expect(end.messages.map((message) => JSON.parse(String(message)) as unknown)).toEqual([
        patterns,
        [['ctx'], []],
      ]);
    });

    it.each<[string, (stream: Duplex) => Duplex]>([
      ['in one read', (stream) => stream],
      ['byte by byte', byteByByte],
    ])('takes headers, messages and the half-close %s', async (_name, cut) => {
      const { near, far } = await socketPair();
      const stop = new AbortController();
      const received: string[] = [];
      const session = sessionOf(async (call) => {
        for await (const message of call.messages()) received.push(String(message));
        received.push('end');
        stop.abort();
      });
      const served = session.serve(cut(near), stop.signal);
      far.write(rawRequest(path, ['one', 'x'.repeat(300), '']));
      far.resume();
      await served;
      expect(received).toEqual(['one', 'x'.repeat(300), '', 'end']);
    });

    it('passes messages up to the limit both ways and refuses larger ones', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const largest = Buffer.alloc(16 * mebibyte, 'abc');
      const end = await daemon.unary(path, [largest]);
      expect(end.status).toBe(0);
      expect(end.messages[0]?.equals(largest)).toBe(true);
      const tooLarge = await daemon.unary(path, [Buffer.alloc(16 * mebibyte + 1)]);
      expect(tooLarge).toMatchObject({ status: grpcStatus.resourceExhausted, trailersOnly: true });
    });

    it('writes a message given in pieces as one', async () => {
      const pieces = [
        Buffer.alloc(0),
        Buffer.from('a'),
        Buffer.alloc(300_000, 'b'),
        new Uint8Array([99]),
      ];
      const session = sessionOf(async (call) => {
        await call.send(pieces);
        await call.send([]);
        await call.send([Buffer.from('small '), Buffer.from('pieces')]);
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const { messages } = await daemon.unary(path, []);
      expect(messages).toHaveLength(3);
      expect(messages[0]?.equals(Buffer.concat(pieces))).toBe(true);
      expect(messages[1]).toHaveLength(0);
      expect(String(messages[2])).toBe('small pieces');
    });

    it('serves 100 calls at once, each with its own messages', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const calls = Array.from({ length: 100 }, () => daemon.call(path));
      for (let round = 0; round < 20; round += 1) {
        calls.forEach((call, index) => {
          call.send(Buffer.alloc(1 + index * 37, `${index}/${round} `));
        });
      }
      for (const call of calls) call.stream.end();
      const ends = await Promise.all(calls.map((call) => call.ended));
      ends.forEach((end, index) => {
        expect(end.status).toBe(0);
        expect(end.messages.map(String)).toEqual(
          Array.from({ length: 20 }, (_, round) =>
            String(Buffer.alloc(1 + index * 37, `${index}/${round} `)),
          ),
        );
      });
    });

    it('may end before the daemon half-closes, whatever still comes', async () => {
      const session = sessionOf(async (call) => {
        for await (const message of call.messages()) {
          await call.send(message);
          return;
        }
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      call.send(Buffer.from('first'));
      call.send(Buffer.alloc(3 * mebibyte));
      await once(call.stream, 'trailers');
      call.stream.end();
      expect(await call.ended).toMatchObject({ status: 0, messages: [Buffer.from('first')] });
    });
  });

  describe('back-pressure', () => {
    it('makes a sender wait for a daemon that does not read, and loses nothing', async () => {
      let sent = 0;
      const total = 256;
      const session = sessionOf(async (call) => {
        for (; sent < total; sent += 1) await call.send(Buffer.alloc(mebibyte / 4, sent));
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      call.stream.pause();
      call.stream.end();
      await sleep(100);
      expect(sent).toBeGreaterThan(0);
      // Window of the daemon, our own bound, and buffers of sockets that are not even used.
      expect(sent).toBeLessThan(20);
      call.stream.resume();
      const end = await call.ended;
      expect(end.status).toBe(0);
      expect(end.messages.map((message) => message[77])).toEqual(
        Array.from({ length: total }, (_, index) => index % 256),
      );
    });

    it('gives room to one of many senders after the other', async () => {
      let sent = 0;
      const total = 64;
      const session = sessionOf(async (call) => {
        const send = async (fill: number): Promise<void> => {
          await call.send(Buffer.alloc(mebibyte / 4, fill));
          sent += 1;
        };
        await Promise.all(Array.from({ length: total }, (_, index) => send(index)));
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      call.stream.pause();
      call.stream.end();
      await sleep(100);
      expect(sent).toBeGreaterThan(0);
      expect(sent).toBeLessThan(10);
      call.stream.resume();
      const end = await call.ended;
      expect(end.status).toBe(0);
      expect(end.messages.map((message) => message[77])).toEqual(
        Array.from({ length: total }, (_, index) => index),
      );
    });

    it('makes the daemon wait for a method that does not read', async () => {
      const gate = Promise.withResolvers<undefined>();
      const session = sessionOf(async (call) => {
        let sizeBytes = 0;
        for await (const message of call.messages()) {
          await gate.promise;
          sizeBytes += message.length;
        }
        await call.send(Buffer.from(String(sizeBytes)));
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      let takenBytes = 0;
      const total = 60;
      for (let count = 0; count < total; count += 1) {
        call.stream.write(grpcFrame(Buffer.alloc(mebibyte)), () => (takenBytes += mebibyte));
      }
      call.stream.end();
      await sleep(100);
      expect(takenBytes).toBeLessThan(24 * mebibyte);
      gate.resolve(undefined);
      const end = await call.ended;
      expect(end.messages.map(String)).toEqual([String(total * mebibyte)]);
    });
  });

  describe('failures', () => {
    const tunnelled = new SessionError('SESSION_CONTEXT_UNREADABLE', 'café 100%\n', {
      status: grpcStatus.notFound,
    });

    it.each<[string, unknown, number, string]>([
      ['a SessionError', tunnelled, grpcStatus.notFound, 'caf%C3%A9 100%25%0A'],
      ['another error', new Error('disk on fire'), grpcStatus.unknown, 'disk on fire'],
      ['half a surrogate pair', new Error('\ud800'), grpcStatus.unknown, '%EF%BF%BD'],
    ])('tells the daemon of %s and remembers it', async (_name, error, status, message) => {
      const session = sessionOf(() => {
        throw error;
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      expect(await daemon.unary(path, [])).toMatchObject({ status, message, trailersOnly: true });
      expect(session.failures).toEqual([{ method: path, error }]);
    });

    it('are cut to whole characters of 4 KiB', async () => {
      const session = sessionOf(() => {
        throw new Error(`${'-'.repeat(4093)}😀 and so on`);
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      expect((await daemon.unary(path, [])).message).toBe('-'.repeat(4093));
    });

    it('come after what was sent before', async () => {
      const session = sessionOf(async (call) => {
        await call.send(Buffer.alloc(200_000));
        throw new Error('then it broke');
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const end = await daemon.unary(path, []);
      expect(end).toMatchObject({ status: grpcStatus.unknown, message: 'then it broke' });
      expect(end.messages).toHaveLength(1);
    });

    it('are not remembered when the protocol foresees the answer', async () => {
      const session = sessionOf(() => {
        throw new SessionError('SESSION_CALL_REFUSED', 'not here', {
          status: grpcStatus.unavailable,
        });
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      expect((await daemon.unary(path, [])).status).toBe(grpcStatus.unavailable);
      expect(session.failures).toEqual([]);
    });

    it('of unknown methods are answered without a handler', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const end = await daemon.unary('/moby.buildkit.secrets.v1.Secrets/GetSecret', [
        Buffer.alloc(0),
      ]);
      expect(end).toMatchObject({
        status: grpcStatus.unimplemented,
        message: 'unknown method /moby.buildkit.secrets.v1.Secrets/GetSecret',
        trailersOnly: true,
      });
    });

    it.each<[string, string, number]>([
      ['a compressed message', '010000000161', grpcStatus.internal],
      ['a message that is cut off', '000000000561', grpcStatus.internal],
      ['a header that is cut off', '000000', grpcStatus.internal],
      ['a message without end', '00ffffffff61', grpcStatus.resourceExhausted],
    ])('name %s', async (_name, hex, status) => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      const call = daemon.call(path);
      call.stream.end(Buffer.from(hex, 'hex'));
      expect((await call.ended).status).toBe(status);
    });

    it('of a call without a request are an invalid argument', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      expect((await daemon.unary('/grpc.health.v1.Health/Check', [])).status).toBe(
        grpcStatus.invalidArgument,
      );
    });
  });

  describe('cancelling', () => {
    it.each([
      ['between messages', ''],
      ['within a message', '0000000010ab'],
    ])('reaches a method that reads, %s, and is no failure of ours', async (_name, hex) => {
      // Hand-made, because the client of Node half-closes before it resets.
      const { near, far } = await socketPair();
      const stop = new AbortController();
      const started = Promise.withResolvers<Buffer>();
      const seen = Promise.withResolvers<unknown>();
      const session = sessionOf(async (call) => {
        try {
          for await (const message of call.messages()) started.resolve(message);
          seen.resolve('half-closed');
        } catch (error) {
          seen.resolve({ error, aborted: call.signal.aborted });
          throw error;
        }
      });
      const served = session.serve(near, stop.signal);
      far.resume();
      far.write(rawCall(path, ['message']));
      await started.promise;
      far.write(http2Frame(0, 0, 1, Buffer.from(hex, 'hex')));
      far.write(http2Frame(3, 0, 1, Buffer.of(0, 0, 0, 8)));
      expect(await seen.promise).toMatchObject({
        aborted: true,
        error: { code: 'SESSION_CALL_CANCELLED', status: grpcStatus.cancelled },
      });
      stop.abort();
      await served;
      expect(session.failures).toEqual([]);
    });

    it('reaches a method that begins to send, though it has not read all', async () => {
      const { near, far } = await socketPair();
      const stop = new AbortController();
      const started = Promise.withResolvers<undefined>();
      const isReset = Promise.withResolvers<undefined>();
      const seen = Promise.withResolvers<unknown>();
      const session = sessionOf(async (call) => {
        started.resolve(undefined);
        await isReset.promise;
        seen.resolve(await call.send(Buffer.from('answer')).catch((error: unknown) => error));
        await call.send(Buffer.from('answer'));
      });
      const served = session.serve(near, stop.signal);
      far.on('data', (chunk: Buffer) => {
        if (chunk.includes('answered')) isReset.resolve(undefined);
      });
      far.write(rawCall(path, ['message']));
      await started.promise;
      far.write(http2Frame(3, 0, 1, Buffer.of(0, 0, 0, 8)));
      // A ping: what comes back was read after the reset.
      far.write(http2Frame(6, 0, 0, Buffer.from('answered')));
      expect(await seen.promise).toMatchObject({ code: 'SESSION_CALL_CANCELLED' });
      stop.abort();
      await served;
      expect(session.failures).toEqual([]);
    });

    it('reaches a method that waits to send', async () => {
      const seen = Promise.withResolvers<unknown>();
      const session = sessionOf(async (call) => {
        try {
          for (;;) await call.send(Buffer.alloc(mebibyte));
        } catch (error) {
          seen.resolve(error);
        }
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      await once(call.stream, 'response');
      call.stream.pause();
      call.stream.close(8);
      expect(await seen.promise).toMatchObject({ code: 'SESSION_CALL_CANCELLED' });
    });
  });

  describe('serve', () => {
    it('ends in order when it is told to, with its calls', async () => {
      const signals: AbortSignal[] = [];
      const session = sessionOf(async (call) => {
        signals.push(call.signal);
        await echo(call);
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      call.send(Buffer.from('a'));
      await once(call.stream, 'data');
      daemon.stop.abort();
      await daemon.served;
      expect(await call.ended).toMatchObject({ status: -1, resetCode: 8 });
      expect(signals.map((signal) => signal.aborted)).toEqual([true]);
      expect(session.failures).toEqual([]);
      if (!daemon.socket.closed) await once(daemon.socket, 'close');
    });

    it('ends at once when it was told to before', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo), aborted());
      await daemon.served;
      if (!daemon.socket.closed) await once(daemon.socket, 'close');
    });

    it('ends though a method never does', async () => {
      const session = sessionOf(() => new Promise(() => undefined));
      await using daemon = await FakeSessionDaemon.connect(session);
      const call = daemon.call(path);
      await once(daemon.client, 'localSettings');
      daemon.stop.abort();
      await daemon.served;
      expect((await call.ended).status).toBe(-1);
    });

    it.each<[string, (daemon: FakeSessionDaemon) => void]>([
      ['cuts the connection', ({ socket }) => socket.resetAndDestroy()],
      ['closes the connection', ({ socket }) => socket.end()],
      [
        'breaks the protocol',
        ({ socket }) => socket.write(http2Frame(0, 0, 0, Buffer.from('data on stream 0'))),
      ],
    ])('fails, and its calls are cancelled, when the daemon %s', async (_name, go) => {
      const started = Promise.withResolvers<AbortSignal>();
      const session = sessionOf(async (call) => {
        started.resolve(call.signal);
        await echo(call);
      });
      await using daemon = await FakeSessionDaemon.connect(session);
      daemon.call(path);
      const signal = await started.promise;
      go(daemon);
      expect(await errorOf(daemon.served)).toMatchObject({
        name: 'SessionError',
        code: 'SESSION_TUNNEL_LOST',
      });
      if (!signal.aborted) await once(signal, 'abort');
      expect(session.failures).toEqual([]);
    });

    it('fails when the daemon says goodbye', async () => {
      await using daemon = await FakeSessionDaemon.connect(sessionOf(echo));
      await daemon.unary(path, []);
      daemon.client.close();
      expect(await errorOf(daemon.served)).toMatchObject({ code: 'SESSION_TUNNEL_LOST' });
    });
  });
});

function aborted(): AbortController {
  const controller = new AbortController();
  controller.abort();
  return controller;
}

/** A whole connection of hand-made bytes: preface, settings, one call with messages and the end. */
function rawRequest(method: string, messages: readonly string[]): Buffer {
  return Buffer.concat([rawCall(method, messages), http2Frame(0, 1, 1, Buffer.alloc(0))]);
}

/** The same without the end. */
function rawCall(method: string, messages: readonly string[]): Buffer {
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': method,
    ':authority': 'localhost',
  };
  const block = Object.entries({
    ...fields,
    'content-type': 'application/grpc',
    te: 'trailers',
  }).map(([name, value]) =>
    Buffer.concat([
      Buffer.of(0, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]),
  );
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    http2Frame(4, 0, 0, Buffer.alloc(0)),
    http2Frame(1, 4, 1, Buffer.concat(block)),
    ...messages.map((message) => http2Frame(0, 0, 1, grpcFrame(Buffer.from(message)))),
  ]);
}
