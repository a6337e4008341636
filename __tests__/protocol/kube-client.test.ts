import { afterEach, describe, expect, it } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { KubeConfig } from '../../src/kubernetes/kube-config.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { type Answer, FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';
import { TestAuthority } from '../fakes/test-certificates.ts';

const never = new AbortController().signal;
const pod = { metadata: { name: 'b-1', uid: 'u' } };
const open: (AsyncDisposable | Disposable)[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
    else each[Symbol.dispose]();
  }
});

async function serve(answer: Answer, tls?: { key: string; cert: string }): Promise<FakeKubeApi> {
  const api = await FakeKubeApi.start(answer, tls);
  open.push(api);
  return api;
}

function clientOf(config: KubeConfig, env: Record<string, string> = {}): KubeClient {
  const client = createKubeClient(config, env);
  open.push(client);
  return client;
}

const getPod = (client: KubeClient, signal = never) =>
  client.get('pods', { namespace: 'ci', name: 'b-1' }, signal);

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'kube-client-'));
  open.push({ [Symbol.asyncDispose]: () => rm(made, { recursive: true }) });
  return made;
}

describe('requests', () => {
  it('go below the path of the server, with the credentials, over one connection', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, pod);
    });
    const client = clientOf(api.config({ token: ' t0ken\n' }, { path: '/k8s/clusters/c-1/' }));
    await getPod(client);
    await getPod(client);
    expect(api.requests[0]).toMatchObject({
      path: '/k8s/clusters/c-1/api/v1/namespaces/ci/pods/b-1',
      headers: { authorization: 'Bearer t0ken' },
    });
    expect(api.requests).toHaveLength(2);
    expect(new Set(api.requests.map(({ connection }) => connection)).size).toBe(1);
  });

  it('send user and password, and whom to act as', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, pod);
    });
    await getPod(
      clientOf(
        api.config({
          username: 'u',
          password: 'p:ä',
          impersonate: { user: 'other', groups: ['admins'] },
        }),
      ),
    );
    expect(api.requests[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('u:p:ä').toString('base64')}`,
      'impersonate-user': 'other',
      'impersonate-group': 'admins',
    });
  });

  it('delete with a guard against namesakes', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, { kind: 'Status' });
    });
    await clientOf(api.config()).remove('jobs', { namespace: 'ci', name: 'j', uid: 'u1' }, never);
    expect(api.requests[0]).toMatchObject({
      method: 'DELETE',
      path: '/apis/batch/v1/namespaces/ci/jobs/j',
    });
    expect(JSON.parse(api.requests[0]?.body ?? '')).toEqual({
      propagationPolicy: 'Background',
      preconditions: { uid: 'u1' },
    });
  });

  it('tell the clock of the server', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, pod, { date: 'Tue, 15 Nov 2033 12:45:26 GMT' });
    });
    const { serverTimeMs } = await getPod(clientOf(api.config()));
    expect(serverTimeMs).toBe(Date.UTC(2033, 10, 15, 12, 45, 26));
  });

  it('end with the signal', async () => {
    const controller = new AbortController();
    const api = await serve(() => {
      controller.abort(new Error('enough'));
    });
    await expect(getPod(clientOf(api.config()), controller.signal)).rejects.toThrow('enough');
  });
});

describe('what may pass by itself', () => {
  it.each([
    [
      'too many requests',
      (r: Parameters<Answer>[1]) => {
        json(r, 429, {}, { 'retry-after': '1' });
      },
    ],
    [
      'a server that stops',
      (r: Parameters<Answer>[1]) => {
        refuse(r, 503, 'shutting down');
      },
    ],
    [
      'a proxy without a server',
      (r: Parameters<Answer>[1]) => {
        r.writeHead(502).end('<html>');
      },
    ],
    [
      'a cut connection',
      (r: Parameters<Answer>[1]) => {
        r.destroy();
      },
    ],
    [
      'half an answer',
      (r: Parameters<Answer>[1]) => {
        r.writeHead(200, { 'content-length': '100' });
        r.write('{"metadata":');
        setImmediate(() => r.destroy());
      },
    ],
  ])('is tried again: %s', async (_name, fail) => {
    let failures = 1;
    const api = await serve((_request, response) => {
      if (failures-- > 0) fail(response);
      else json(response, 200, pod);
    });
    await expect(getPod(clientOf(api.config()))).resolves.toMatchObject({ object: pod });
    expect(api.requests).toHaveLength(2);
  });

  it('is given up after five attempts, in the words of the server', async () => {
    const api = await serve((_request, response) => {
      refuse(response, 500, 'etcdserver: leader changed');
    });
    await expect(getPod(clientOf(api.config()))).rejects.toMatchObject({
      code: 'KUBE_API_FAILED',
      httpStatus: 500,
      message: 'cannot get pods "b-1" in namespace "ci": etcdserver: leader changed',
    });
    expect(api.requests).toHaveLength(5);
  });

  it('names what is in between when that answers', async () => {
    const api = await serve((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>nothing here</h1>');
    });
    await expect(getPod(clientOf(api.config()))).rejects.toMatchObject({
      code: 'KUBE_API_FAILED',
      message: 'cannot get pods "b-1" in namespace "ci": the server answered HTTP 404',
    });
    const page = await serve((_request, response) => {
      response.end('<h1>login</h1>');
    });
    await expect(getPod(clientOf(page.config()))).rejects.toMatchObject({
      message: expect.stringContaining('did not answer with JSON'),
      hint: expect.stringContaining('answers in its place'),
    });
  });
});

describe('refusals', () => {
  const rbac =
    'deployments.apps is forbidden: User "system:serviceaccount:ci:bot" cannot create resource "deployments" in API group "apps" in the namespace "ci"';

  it.each([
    {
      status: 403,
      message: rbac,
      more: {},
      code: 'KUBE_FORBIDDEN',
      expected: /no right to create deployments\.apps "b" in namespace "ci": .*bot/,
    },
    {
      status: 403,
      message:
        'deployments.apps "b" is forbidden: exceeded quota: ci, requested: count/deployments.apps=1',
      more: {},
      code: 'BUILDER_QUOTA',
      expected: /exceeded quota: ci/,
    },
    {
      status: 403,
      message:
        'deployments.apps "b" is forbidden: unable to create new content in namespace ci because it is being terminated',
      more: {},
      code: 'NAMESPACE_MISSING',
      expected: /namespace "ci" is being deleted/,
    },
    {
      status: 400,
      message: 'admission webhook "validate.gatekeeper.sh" denied the request: no privileged pods',
      more: {},
      code: 'BUILDER_REFUSED',
      expected: /no privileged pods/,
    },
    {
      status: 404,
      message: 'namespaces "ci" not found',
      more: { reason: 'NotFound', details: { name: 'ci', kind: 'namespaces' } },
      code: 'NAMESPACE_MISSING',
      expected: /^namespace "ci" not found$/,
    },
    {
      status: 409,
      message: 'deployments.apps "b" already exists',
      more: { reason: 'AlreadyExists' },
      code: 'KUBE_API_FAILED',
      expected: /already exists/,
    },
    {
      status: 422,
      message: 'Deployment.apps "b" is invalid: …',
      more: {
        reason: 'Invalid',
        details: {
          causes: [
            {
              field: 'spec.template.spec.containers[0].resources.requests[cpu]',
              message: 'must be less than or equal to cpu limit',
            },
            { field: 'metadata.name', message: 'is too long' },
          ],
        },
      },
      code: 'KUBE_API_FAILED',
      expected:
        /requests\[cpu\]: must be less than or equal to cpu limit; metadata\.name: is too long$/,
    },
  ])('$status $message', async ({ status, message, more, code, expected }) => {
    const api = await serve((_request, response) => {
      refuse(response, status, message, more);
    });
    const manifest = { metadata: { name: 'b' } };
    const created = clientOf(api.config()).create(
      'deployments',
      { namespace: 'ci', manifest },
      never,
    );
    await expect(created).rejects.toMatchObject({
      code,
      httpStatus: status,
      message: expect.stringMatching(expected),
    });
    expect(api.requests).toHaveLength(1);
  });

  it('a missing object is no missing namespace', async () => {
    const api = await serve((_request, response) => {
      const details = { name: 'b-1', kind: 'pods' };
      refuse(response, 404, 'pods "b-1" not found', { reason: 'NotFound', details });
    });
    await expect(getPod(clientOf(api.config()))).rejects.toMatchObject({
      code: 'KUBE_API_FAILED',
      httpStatus: 404,
    });
  });
});

describe('credentials', () => {
  it('are read anew when a token has been rotated', async () => {
    const tokenFile = path.join(await folder(), 'token');
    await writeFile(tokenFile, 'old\n');
    const api = await serve((request, response) => {
      if (request.headers.authorization === 'Bearer new') {
        json(response, 200, pod);
        return;
      }
      void writeFile(tokenFile, 'new\n').then(() => {
        refuse(response, 401, 'Unauthorized');
      });
    });
    await expect(getPod(clientOf(api.config({ tokenFile })))).resolves.toBeDefined();
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer old',
      'Bearer new',
    ]);
  });

  it('that stay refused are said to be, without being shown', async () => {
    const api = await serve((_request, response) => {
      refuse(response, 401, 'Unauthorized');
    });
    const failure = await getPod(clientOf(api.config({ token: 'hunter2' }))).catch(
      (thrown: unknown) => thrown,
    );
    expect(failure).toMatchObject({
      code: 'KUBE_UNAUTHORIZED',
      message: `127.0.0.1:${String(api.port)} does not accept the credentials of the kubeconfig (401)`,
      hint: expect.stringContaining('expired'),
    });
    expect(api.requests).toHaveLength(2);
  });

  it('that cannot be read are named', async () => {
    const api = await serve(() => undefined);
    const config = api.config({ tokenFile: '/no/such/token' });
    await expect(getPod(clientOf(config))).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: 'a test cannot be used: its tokenFile /no/such/token cannot be read: ENOENT',
    });
  });

  describe('of a plugin', () => {
    async function plugin(script: string): Promise<KubeConfig['user']['exec']> {
      const command = path.join(await folder(), 'get-token');
      await writeFile(command, `#!/bin/sh\n${script}\n`);
      await chmod(command, 0o755);
      return {
        command,
        apiVersion: 'client.authentication.k8s.io/v1',
        args: ['--cluster', 'c1'],
        env: [{ name: 'PROFILE', value: 'ci' }],
        installHint: 'Install it from example.org.',
        provideClusterInfo: true,
      };
    }

    it('are asked for once, in the version that the kubeconfig names', async () => {
      const api = await serve((_request, response) => {
        json(response, 200, pod);
      });
      const exec = await plugin(
        `echo run >> "$0.log"; case "$KUBERNETES_EXEC_INFO" in *'"apiVersion":"client.authentication.k8s.io/v1"'*'"server":"http://127.0.0.1'*) ;; *) exit 3;; esac
echo "{\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"$PROFILE-$2\\"}}"`,
      );
      const client = clientOf(api.config({ exec }));
      await getPod(client);
      await client.resolveTarget(never);
      expect(api.requests[0]?.headers.authorization).toBe('Bearer ci-c1');
      const { readFile } = await import('node:fs/promises');
      expect(await readFile(`${exec?.command ?? ''}.log`, 'utf8')).toBe('run\n');
    });

    it.each([
      [
        'fails',
        'echo "no session: eyJhbGciOiJSUzI1NiIsImtpZCI6Im15" >&2; echo more >&2; exit 1',
        /get-token" of context "fake" failed: no session: …$/,
      ],
      ['prints no JSON', 'echo eyJhbGciOiJSUzI1NiIsImtpZCI6Im15', /it printed no JSON$/],
      ['prints no credentials', 'echo "{}"', /it printed no credentials$/],
      ['says nothing', 'exit 7', /it ended with an error and said nothing$/],
    ])('are an error without secrets when it %s', async (_name, script, message) => {
      const api = await serve(() => undefined);
      const exec = await plugin(script);
      const failure = (await getPod(clientOf(api.config({ exec }))).catch(
        (thrown: unknown) => thrown,
      )) as Error;
      expect(failure).toMatchObject({
        code: 'KUBE_CREDENTIALS_FAILED',
        message: expect.stringMatching(message),
      });
      expect(failure.cause).toBeUndefined();
    });

    it('that is missing come with the hint of the kubeconfig', async () => {
      const api = await serve(() => undefined);
      const exec = {
        ...(await plugin('')),
        command: 'no-such-plugin',
      } as KubeConfig['user']['exec'];
      await expect(getPod(clientOf(api.config({ exec })))).rejects.toMatchObject({
        code: 'KUBE_CREDENTIALS_FAILED',
        message: expect.stringContaining('it is not on this machine'),
        hint: 'Install it from example.org.',
      });
    });
  });
});

describe('the way there', () => {
  it('names a server that refuses', async () => {
    const api = await FakeKubeApi.start(() => undefined);
    const config = api.config();
    await api[Symbol.asyncDispose]();
    await expect(getPod(clientOf(config))).rejects.toMatchObject({
      code: 'KUBE_API_UNREACHABLE',
      message: expect.stringMatching(
        /^the Kubernetes API server http:\/\/127\.0\.0\.1:\d+ cannot be reached: .*ECONNREFUSED/,
      ),
    });
  });

  it('names a name that does not resolve', async () => {
    const api = await serve(() => undefined);
    const config = api.config({}, { server: 'https://api.invalid:6443' });
    await expect(getPod(clientOf(config))).rejects.toMatchObject({
      message: expect.stringMatching(/its name api\.invalid cannot be resolved/),
    });
  });

  it('checks certificates, by whatever name the kubeconfig gives', async () => {
    const authority = new TestAuthority();
    const api = await serve(
      (_request, response) => {
        json(response, 200, pod);
      },
      authority.issue('api', ['api.example']),
    );
    const ca = (cert: string) => ({
      certificateAuthority: { file: undefined, data: Buffer.from(cert).toString('base64') },
    });
    const trusted = ca(authority.cert);
    const named = { ...trusted, tlsServerName: 'api.example' };
    await expect(getPod(clientOf(api.config({}, named)))).resolves.toBeDefined();
    const insecure = { insecureSkipTlsVerify: true };
    await expect(getPod(clientOf(api.config({}, insecure)))).resolves.toBeDefined();
    await expect(getPod(clientOf(api.config({}, trusted)))).rejects.toMatchObject({
      message: expect.stringContaining('its certificate is for another name than 127.0.0.1'),
      hint: expect.stringContaining('tls-server-name'),
    });
    const other = { ...ca(new TestAuthority('another').cert), tlsServerName: 'api.example' };
    await expect(getPod(clientOf(api.config({}, other)))).rejects.toMatchObject({
      message: expect.stringContaining('not signed by the certificate authority'),
    });
  });

  it('goes through the proxy of the kubeconfig', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, pod);
    });
    const asked: string[] = [];
    const proxy = await startProxy(asked);
    const proxyUrl = `http://us%40er:secret@127.0.0.1:${String(proxy)}`;
    await getPod(clientOf(api.config({}, { proxyUrl })));
    expect(asked).toEqual([
      `127.0.0.1:${String(api.port)} Basic ${Buffer.from('us@er:secret').toString('base64')}`,
    ]);
  });

  it('names a proxy of a kind that is not supported', async () => {
    const api = await serve(() => undefined);
    const config = api.config({}, { proxyUrl: 'socks5://127.0.0.1:1080' });
    expect(() => createKubeClient(config, {})).toThrow(/only http and https proxies/);
  });
});

/** A CONNECT proxy that notes what it is asked for. */
async function startProxy(asked: string[]): Promise<number> {
  const server: Server = createServer();
  server.on('connect', (request, socket) => {
    asked.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`);
    const [host, port] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}
