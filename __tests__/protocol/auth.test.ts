import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import protobuf from 'protobufjs';
import type { RegistryCredentials } from '../../src/credentials/credential-store.ts';
import { CredentialError } from '../../src/credentials/errors.ts';
import { authProvider } from '../../src/session/auth-provider.ts';
import { grpcStatus } from '../../src/session/errors.ts';
import { Session } from '../../src/session/session.ts';
import type { RegistryTls } from '../../src/session/token-http.ts';
import { FakeSessionDaemon } from '../fakes/fake-session-daemon.ts';
import { TestAuthority } from '../fakes/test-certificates.ts';

const proto = new protobuf.Root().loadSync(
  path.join(import.meta.dirname, '..', '..', 'proto', 'auth.proto'),
  { keepCase: true },
);

type Fields = Record<string, unknown>;

/** What the daemon is told: the answer's fields, or the status. */
interface Answer {
  readonly status: number;
  readonly message: string;
  readonly fields: Fields;
}

/** A daemon in a session that serves authentication. */
interface AuthSession extends AsyncDisposable {
  readonly session: Session;
  readonly daemon: FakeSessionDaemon;
  readonly titles: string[];
  readonly masked: string[];
  ask(method: string, request: Fields): Promise<Answer>;
  fetchToken(realm: string, more?: Fields): Promise<Answer>;
}

interface SetUp {
  readonly credentials?: Readonly<Record<string, RegistryCredentials | Error>>;
  readonly registryConfig?: Readonly<Record<string, RegistryTls>>;
  readonly env?: Readonly<Record<string, string>>;
}

async function connect(options: SetUp = {}): Promise<AuthSession> {
  const titles: string[] = [];
  const masked: string[] = [];
  const provider = authProvider({
    credentials: {
      get: (host) => {
        const found = options.credentials?.[host];
        return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
      },
    },
    registryConfig: options.registryConfig ?? {},
    env: options.env ?? {},
    mask: (secret) => masked.push(secret),
    onAuth: (title) => titles.push(title),
  });
  const session = new Session({ sharedKey: '', attachables: [provider] });
  const daemon = await FakeSessionDaemon.connect(session);
  const ask = async (method: string, request: Fields): Promise<Answer> => {
    const rpc = proto.lookupService('moby.filesync.v1.Auth').methods[method]!;
    rpc.resolve();
    const [requestType, responseType] = [rpc.resolvedRequestType!, rpc.resolvedResponseType!];
    const bytes = requestType.encode(requestType.fromObject(request)).finish();
    const end = await daemon.unary(`/moby.filesync.v1.Auth/${method}`, [bytes]);
    const [answer] = end.messages;
    return {
      status: end.status,
      message: decodeURIComponent(end.message),
      fields:
        answer === undefined
          ? {}
          : responseType.toObject(responseType.decode(answer), {
              longs: Number,
              bytes: Buffer,
              defaults: true,
            }),
    };
  };
  return {
    session,
    daemon,
    titles,
    masked,
    ask,
    fetchToken: (realm, more) =>
      ask('FetchToken', {
        ClientID: 'buildkit-client',
        Host: 'registry.example',
        Realm: realm,
        Service: 'the service',
        Scopes: ['repository:acme/app:pull,push', 'repository:acme/base:pull'],
        ...more,
      }),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

interface TokenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly form: Readonly<Record<string, string>>;
}

type Script = (request: TokenRequest, response: ServerResponse) => unknown;

/** A token server that notes what it is asked and answers by script. */
interface TokenServer extends AsyncDisposable {
  readonly origin: string;
  readonly requests: TokenRequest[];
}

async function tokenServer(
  script: Script,
  tls?: { key: string; cert: string; ca?: string },
): Promise<TokenServer> {
  const requests: TokenRequest[] = [];
  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
      form: Object.fromEntries(new URLSearchParams(String(Buffer.concat(chunks)))),
    };
    requests.push(request);
    const answer = script(request, response);
    if (answer === undefined) return;
    response.setHeader('content-type', 'application/json');
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  };
  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    void serve(incoming, response);
  };
  const server =
    tls === undefined
      ? createServer(onRequest)
      : createTlsServer(
          { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: true },
          onRequest,
        );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with a status and this body. */
const withStatus =
  (status: number, body: unknown = {}): Script =>
  (_request, response) => {
    response.statusCode = status;
    return body;
  };

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
const ann = { username: 'ann', password: 'p&ss w=rd' };

describe('FetchToken', () => {
  it('asks anonymously by GET and keeps what the realm has already', async () => {
    await using server = await tokenServer(() => ({ token: 'anon', expires_in: 300 }));
    await using auth = await connect();
    const answer = await auth.fetchToken(`${server.origin}/token?account=x`);
    expect(answer.fields).toEqual({ Token: 'anon', ExpiresIn: 300, IssuedAt: 0 });
    expect(server.requests).toHaveLength(1);
    const [request] = server.requests;
    expect(request?.method).toBe('GET');
    expect(request?.headers.authorization).toBeUndefined();
    expect([...new URL(request!.url, server.origin).searchParams]).toEqual([
      ['account', 'x'],
      ['service', 'the service'],
      ['scope', 'repository:acme/app:pull,push'],
      ['scope', 'repository:acme/base:pull'],
    ]);
    expect(auth.titles).toEqual([]);
  });

  it('posts user and password', async () => {
    await using server = await tokenServer(() => ({
      access_token: 'bearer',
      expires_in: 900,
      issued_at: '2026-01-02T03:04:05.123456789Z',
      refresh_token: 'ignored',
    }));
    await using auth = await connect({ credentials: { 'registry.example': ann } });
    const answer = await auth.fetchToken(`${server.origin}/token`);
    expect(answer.fields).toEqual({ Token: 'bearer', ExpiresIn: 900, IssuedAt: 1767323045 });
    expect(server.requests).toMatchObject([
      {
        method: 'POST',
        url: '/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
        form: {
          grant_type: 'password',
          service: 'the service',
          client_id: 'buildkit-client',
          scope: 'repository:acme/app:pull,push repository:acme/base:pull',
          ...ann,
        },
      },
    ]);
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
    expect(auth.masked).toEqual(['bearer']);
  });

  it('posts a refresh token without the user, and no scope where there is none', async () => {
    await using server = await tokenServer(() => ({ access_token: 'bearer' }));
    await using auth = await connect({
      credentials: { 'registry.example': { username: '0000', identityToken: 'refresh' } },
    });
    const answer = await auth.fetchToken(`${server.origin}/token`, { Scopes: [] });
    expect(answer.fields).toMatchObject({ Token: 'bearer', ExpiresIn: 60 });
    expect(server.requests[0]?.form).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh',
      service: 'the service',
      client_id: 'buildkit-client',
    });
  });

  it.each([400, 401, 404, 405])('falls back to GET where POST answers %i', async (status) => {
    await using server = await tokenServer((request, response) => {
      if (request.method === 'POST') response.statusCode = status;
      return request.method === 'POST' ? 'no such thing' : { token: 'old', access_token: 'new' };
    });
    await using auth = await connect({ credentials: { 'registry.example': ann } });
    const answer = await auth.fetchToken(`${server.origin}/token`);
    expect(answer.fields).toEqual({ Token: 'new', ExpiresIn: 60, IssuedAt: 0 });
    expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
    expect(server.requests[1]?.headers.authorization).toBe(basic('ann:p&ss w=rd'));
  });

  it('sends a refresh token by GET where POST is not known, but not where it is not allowed', async () => {
    let status = 404;
    await using server = await tokenServer((request, response) => {
      if (request.method === 'POST') response.statusCode = status;
      return { token: 'got' };
    });
    await using auth = await connect({
      credentials: { 'registry.example': { identityToken: 'refresh' } },
    });
    expect((await auth.fetchToken(server.origin)).fields.Token).toBe('got');
    expect(server.requests[1]?.headers.authorization).toBe(basic(':refresh'));
    status = 405;
    expect((await auth.fetchToken(server.origin)).message).toContain('POST answered 405');
    expect(server.requests).toHaveLength(3);
  });

  it('hands a ready token out as it is', async () => {
    await using auth = await connect({
      credentials: { 'registry.example': { ...ann, registryToken: 'ready' } },
    });
    const answer = await auth.fetchToken('http://127.0.0.1:1/token');
    expect(answer.fields).toEqual({ Token: 'ready', ExpiresIn: 60, IssuedAt: 0 });
    expect(auth.titles).toEqual([]);
  });

  it.each<[string, unknown, Fields]>([
    ['a lifetime of no sense', { token: 't', expires_in: -5 }, { ExpiresIn: 60 }],
    ['a lifetime in text', { token: 't', expires_in: '120' }, { ExpiresIn: 120 }],
    ['a date of no sense', { token: 't', issued_at: 'yesterday' }, { IssuedAt: 0 }],
    ['the zero date of Go', { token: 't', issued_at: '0001-01-01T00:00:00Z' }, { IssuedAt: 0 }],
  ])('copes with %s', async (_name, body, expected) => {
    await using server = await tokenServer(() => body);
    await using auth = await connect();
    expect((await auth.fetchToken(server.origin)).fields).toMatchObject(expected);
  });

  it('says once for whom it got which token', async () => {
    await using server = await tokenServer(() => ({ access_token: 't' }));
    await using auth = await connect({ credentials: { 'registry.example': ann } });
    await auth.fetchToken(server.origin);
    await auth.fetchToken(server.origin);
    await auth.fetchToken(server.origin, { Scopes: ['repository:acme/base:pull'] });
    expect(auth.titles).toEqual([
      '[auth] acme/app:pull,push acme/base:pull token for registry.example',
      '[auth] acme/base:pull token for registry.example',
    ]);
  });

  it('follows redirects without taking the password to another host', async () => {
    await using other = await tokenServer(() => ({ token: 'elsewhere' }));
    await using server = await tokenServer((request, response) => {
      if (request.url.startsWith('/second')) {
        response.writeHead(307, { location: `${other.origin}/third` }).end();
      } else if (request.method === 'GET') {
        response.writeHead(302, { location: '/second' }).end();
      } else response.writeHead(404).end();
    });
    await using auth = await connect({ credentials: { 'registry.example': ann } });
    expect((await auth.fetchToken(`${server.origin}/first`)).fields.Token).toBe('elsewhere');
    expect(server.requests[2]?.headers.authorization).toBe(basic('ann:p&ss w=rd'));
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  describe('fails', () => {
    it.each<[string, Script, string]>([
      [
        'with the errors of a registry',
        withStatus(403, { errors: [{ code: 'DENIED', message: 'no push\nto acme/app' }] }),
        'POST answered 403 (no push to acme/app)',
      ],
      ['with those of Docker Hub', withStatus(429, { details: 'slow down' }), '429 (slow down)'],
      [
        'with those of OAuth, without the password that they repeat',
        withStatus(500, { error: 'x', error_description: 'p&ss w=rd is wrong' }),
        'POST answered 500 (*** is wrong)',
      ],
      [
        'without a text that is no JSON',
        withStatus(502, '<h1>p&ss w=rd</h1>'),
        'POST answered 502',
      ],
      ['when there is no token', withStatus(200, { token: 7 }), 'POST answered without a token'],
      ['when there is no JSON', withStatus(200, 'token'), 'POST answered without a token'],
      ['at a POST that redirects', withStatus(302), 'POST answered 302'],
      ['at an endless answer', withStatus(200, 'x'.repeat(1_100_000)), 'more than 1048576 bytes'],
      [
        'at a connection that breaks',
        (_request, response) => void response.destroy(),
        'socket hang up',
      ],
    ])('%s', async (_name, script, expected) => {
      await using server = await tokenServer(script);
      await using auth = await connect({ credentials: { 'registry.example': ann } });
      const answer = await auth.fetchToken(`${server.origin}/token?x=y`);
      expect(answer.status).toBe(grpcStatus.unknown);
      expect(answer.message).toContain(
        `failed to fetch oauth token for registry.example from ${server.origin}/token: `,
      );
      expect(answer.message).toContain(expected);
      expect(answer.message).not.toContain('p&ss');
      expect(auth.session.failures).toMatchObject([
        { method: '/moby.filesync.v1.Auth/FetchToken', error: { code: 'REGISTRY_TOKEN_FAILED' } },
      ]);
    });

    it('when redirects go round', async () => {
      await using server = await tokenServer(
        (_request, response) => void response.writeHead(302, { location: '/again' }).end(),
      );
      await using auth = await connect();
      expect((await auth.fetchToken(server.origin)).message).toContain('more than 5 redirects');
    });

    it.each(['', 'not a url', 'file:///etc/passwd'])('at the realm %j', async (realm) => {
      await using auth = await connect();
      expect((await auth.fetchToken(realm)).message).toBe(
        'failed to fetch oauth token: registry registry.example names no http(s) address of a token server',
      );
    });

    it('when nobody listens', async () => {
      const server = await tokenServer(() => ({}));
      await server[Symbol.asyncDispose]();
      await using auth = await connect();
      expect((await auth.fetchToken(server.origin)).message).toContain('ECONNREFUSED');
    });
  });

  it('stops asking when the daemon does', async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    await using server = await tokenServer((_request, response) => {
      asked.resolve(response);
    });
    await using auth = await connect();
    const answering = auth.fetchToken(server.origin);
    const response = await asked.promise;
    auth.daemon.socket.destroy();
    if (!response.closed) await once(response, 'close');
    expect((await answering).status).toBe(-1);
    expect(auth.session.failures).toEqual([]);
  });
});

describe('FetchToken over TLS', () => {
  const authority = new TestAuthority();
  const identity = authority.issue('token server', ['127.0.0.1']);
  const none: RegistryTls = { insecure: false, ca: undefined, cert: undefined, key: undefined };
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'auth-'));
    writeFileSync(path.join(folder, 'ca.pem'), authority.cert);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each<[string, () => RegistryTls]>([
    ['the text of its authority', () => ({ ...none, ca: authority.cert })],
    ['the file of its authority', () => ({ ...none, ca: path.join(folder, 'ca.pem') })],
    ['insecure', () => ({ ...none, insecure: true })],
  ])('trusts a registry with %s', async (_name, tls) => {
    await using server = await tokenServer(() => ({ token: 't' }), identity);
    await using byRegistry = await connect({ registryConfig: { 'registry.example': tls() } });
    expect(await byRegistry.fetchToken(server.origin)).toMatchObject({ message: '', status: 0 });
    await using byRealm = await connect({
      registryConfig: { [new URL(server.origin).host]: tls() },
    });
    expect(await byRealm.fetchToken(server.origin)).toMatchObject({ message: '', status: 0 });
  });

  it('trusts nobody else', async () => {
    await using server = await tokenServer(() => ({ token: 't' }), identity);
    await using auth = await connect({
      registryConfig: { 'other.example': { ...none, insecure: true } },
    });
    expect((await auth.fetchToken(server.origin)).message).toContain('certificate');
    expect(server.requests).toEqual([]);
  });

  it('shows a certificate of its own', async () => {
    await using server = await tokenServer(() => ({ token: 't' }), {
      ...identity,
      ca: authority.cert,
    });
    const tls = { ...none, ca: authority.cert };
    await using without = await connect({ registryConfig: { 'registry.example': tls } });
    expect((await without.fetchToken(server.origin)).status).toBe(grpcStatus.unknown);
    await using auth = await connect({
      registryConfig: { 'registry.example': { ...tls, ...authority.issue('client') } },
    });
    expect(await auth.fetchToken(server.origin)).toMatchObject({ message: '', status: 0 });
  });

  it('names a file that is not there', async () => {
    await using auth = await connect({
      registryConfig: { 'registry.example': { ...none, ca: path.join(folder, 'gone.pem') } },
    });
    expect((await auth.fetchToken('https://127.0.0.1:1')).message).toContain('gone.pem');
  });
});

describe('FetchToken behind a proxy', () => {
  it('goes through the proxy of the environment', async () => {
    await using proxy = await tokenServer(() => ({ token: 'by proxy' }));
    await using auth = await connect({ env: { http_proxy: proxy.origin } });
    const answer = await auth.fetchToken('http://tokens.invalid/token', { Scopes: [] });
    expect(answer.fields.Token).toBe('by proxy');
    expect(proxy.requests[0]?.url).toBe('http://tokens.invalid/token?service=the+service');
  });

  it('leaves out loopback and what NO_PROXY names', async () => {
    await using proxy = await tokenServer(() => ({ token: 'by proxy' }));
    await using server = await tokenServer(() => ({ token: 'direct' }));
    await using auth = await connect({
      env: { HTTP_PROXY: proxy.origin, NO_PROXY: 'other.example,tokens.invalid' },
    });
    expect((await auth.fetchToken(server.origin)).fields.Token).toBe('direct');
    expect((await auth.fetchToken('http://tokens.invalid/token')).status).toBe(grpcStatus.unknown);
    expect(proxy.requests).toEqual([]);
  });
});

describe('Credentials', () => {
  it.each<[string, RegistryCredentials | undefined, Fields]>([
    ['user and password', ann, { Username: 'ann', Secret: 'p&ss w=rd' }],
    [
      'an identity token, without the user',
      { username: 'u', password: 'p', identityToken: 'refresh' },
      { Username: '', Secret: 'refresh' },
    ],
    ['nothing of a ready token', { registryToken: 'ready' }, { Username: '', Secret: '' }],
    ['nothing of an unknown host', undefined, { Username: '', Secret: '' }],
  ])('hands out %s', async (_name, credentials, expected) => {
    await using auth = await connect(
      credentials === undefined ? {} : { credentials: { 'registry.example': credentials } },
    );
    for (let count = 0; count < 2; count += 1) {
      const answer = await auth.ask('Credentials', { Host: 'registry.example' });
      expect(answer).toMatchObject({ status: 0, fields: expected });
    }
    expect(auth.titles).toEqual(
      expected.Secret === '' ? [] : ['[auth] sharing credentials for registry.example'],
    );
  });

  it('keeps the reason why there are none', async () => {
    const error = new CredentialError('CREDENTIAL_HELPER_MISSING', 'no docker-credential-x');
    await using auth = await connect({ credentials: { 'registry.example': error } });
    const answer = await auth.ask('Credentials', { Host: 'registry.example' });
    expect(answer).toMatchObject({ status: grpcStatus.unknown, message: 'no docker-credential-x' });
    expect(auth.session.failures.map((failure) => failure.error)).toEqual([error]);
  });
});

describe('token authority', () => {
  const salt = Buffer.alloc(32, 7);

  async function publicKey(auth: AuthSession, Salt: Buffer = salt): Promise<Buffer> {
    const answer = await auth.ask('GetTokenAuthority', { Host: 'registry.example', Salt });
    return answer.fields.PublicKey as Buffer;
  }

  it('is for anonymous users the key of everybody', async () => {
    await using auth = await connect();
    // HMAC-SHA256 of nothing under 32 zero bytes, as the seed of an Ed25519 key; by openssl.
    expect((await publicKey(auth, Buffer.alloc(32))).toString('hex')).toBe(
      'b61a5143178d67b8e6ff9248efca6775d72b4ad38cd1494942967ade83f5847a',
    );
  });

  it('stays the same for a salt and a session, and is no one else’s', async () => {
    const credentials = { 'registry.example': ann };
    await using auth = await connect({ credentials });
    await using other = await connect({ credentials });
    await using anonymous = await connect();
    const keys = [
      await publicKey(auth),
      await publicKey(auth, Buffer.alloc(32, 8)),
      await publicKey(other),
      await publicKey(anonymous),
    ].map((key) => key.toString('hex'));
    expect(new Set(keys).size).toBe(4);
    expect((await publicKey(auth)).toString('hex')).toBe(keys[0]);
  });

  it('signs what the daemon gives it, signature first', async () => {
    await using auth = await connect({ credentials: { 'registry.example': ann } });
    const payload = Buffer.alloc(32, 'payload');
    const answer = await auth.ask('VerifyTokenAuthority', {
      Host: 'registry.example',
      Payload: payload,
      Salt: salt,
    });
    const signed = answer.fields.Signed as Buffer;
    expect(signed).toHaveLength(64 + payload.length);
    expect(signed.subarray(64).equals(payload)).toBe(true);
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: (await publicKey(auth)).toString('base64url') },
      format: 'jwk',
    });
    expect(verify(null, payload, key, signed.subarray(0, 64))).toBe(true);
  });

  it.each(['GetTokenAuthority', 'VerifyTokenAuthority'])(
    'is unavailable when the daemon shall fetch tokens: %s',
    async (method) => {
      await using auth = await connect({ env: { BUILDKIT_NO_CLIENT_TOKEN: '1' } });
      expect((await auth.ask(method, { Host: 'h', Salt: salt })).status).toBe(
        grpcStatus.unavailable,
      );
      expect(auth.session.failures).toEqual([]);
    },
  );
});
