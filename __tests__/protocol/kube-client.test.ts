import { afterEach, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { KubeConfig } from '../../src/kubernetes/kube-config.ts';
import { createTargetReader } from '../../src/kubernetes/kube-credentials.ts';
import { createKubeClient, type KubeClientOptions } from '../../src/kubernetes/kube-http-client.ts';
import { type Answer, FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';
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

function clientOf(
  config: KubeConfig,
  env: Record<string, string> = {},
  limits: KubeClientOptions['limits'] = {},
): KubeClient {
  const client = createKubeClient(config, env, { limits });
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

  it('may take longer when they create, as admission webhooks do', async () => {
    const api = await serve((_request, response) => {
      setTimeout(() => {
        json(response, 200, pod);
      }, 400);
    });
    const limits = { answerTimeoutMs: 100, createTimeoutMs: 20_000 };
    const client = clientOf(api.config(), {}, limits);
    const at = { namespace: 'ci', manifest: { metadata: { name: 'b' } } };
    await expect(client.create('jobs', at, never)).resolves.toBeDefined();
    await expect(getPod(client)).rejects.toMatchObject({
      code: 'KUBE_API_UNREACHABLE',
      message: expect.stringMatching(/cannot be reached: no answer within 0.1 s$/),
    });
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

  it.each([
    ['429', 429],
    ['500', 500],
    ['503', 503],
  ])(
    'is waited for where the server has answered before: %s for a while',
    async (_, status) => {
      let count = 0;
      const api = await serve((_request, response) => {
        count += 1;
        // More failures than a server that was never heard of is forgiven.
        if (count > 1 && count < 7) refuse(response, status, 'for a while');
        else json(response, 200, pod);
      });
      const client = clientOf(api.config());
      await getPod(client);
      await expect(getPod(client)).resolves.toMatchObject({ object: pod });
      expect(api.requests).toHaveLength(7);
    },
    20_000,
  );

  it('is waited for while the server is restarted', async () => {
    const api = await serve((_request, response) => {
      json(response, 200, pod);
    });
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: api.port });
    open.push(proxy);
    const config = api.config();
    const server = `http://127.0.0.1:${String(proxy.port)}`;
    const client = clientOf({ ...config, cluster: { ...config.cluster, server } });
    await getPod(client);
    await proxy[Symbol.asyncDispose]();
    const reading = getPod(client);
    // Longer than the five attempts take.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    open.push(await startTcpProxy({ host: '127.0.0.1', port: api.port }, proxy.port));
    await expect(reading).resolves.toMatchObject({ object: pod });
  }, 20_000);

  it('is waited for from the start where it is known to have answered', async () => {
    let failures = 5;
    const api = await serve((_request, response) => {
      if (failures-- > 0) refuse(response, 503, 'starting');
      else json(response, 200, pod);
    });
    const client = clientOf(api.config(), {}, { isKnown: true });
    await expect(getPod(client)).resolves.toMatchObject({ object: pod });
  }, 20_000);

  it('is not waited for longer than an outage may last', async () => {
    let isUp = true;
    const api = await serve((_request, response) => {
      if (isUp) json(response, 200, pod);
      else refuse(response, 503, 'down');
      isUp = false;
    });
    const client = clientOf(api.config(), {}, { outageMs: 1 });
    await getPod(client);
    await expect(getPod(client)).rejects.toMatchObject({ httpStatus: 503 });
    expect(api.requests).toHaveLength(6);
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
      expect(await readFile(`${exec?.command ?? ''}.log`, 'utf8')).toBe('run\n');
    });

    it.each([
      [
        'fails',
        'echo eyJhbGciOi; seq 9 >&2; echo "no session: eyJhbGciOiJSUzI1NiIsImtpZCI6Im15" >&2; exit 1',
        /get-token" of context "fake" failed: it ended with exit code 1: 6 \/ 7 \/ 8 \/ 9 \/ no session: …$/,
      ],
      ['ends by a signal', 'kill -9 $$', /it was ended by SIGKILL, saying nothing$/],
      [
        'answers in another version',
        `echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"eyJhbGciOi"}}'`,
        /it answered in another version than client\.authentication\.k8s\.io\/v1$/,
      ],
      [
        'gives a key alone',
        `echo '{"status":{"token":"eyJhbGciOi","clientKeyData":"eyJhbGciOi"}}'`,
        /without its key, or a key alone$/,
      ],
      ['waits for a password', 'read password || exit 4', /it ended with exit code 4, saying/],
      ['prints no JSON', 'echo eyJhbGciOiJSUzI1NiIsImtpZCI6Im15', /it printed no JSON$/],
      ['prints no credentials', 'echo "{}"', /it printed no credentials$/],
      ['says nothing', 'exit 7', /it ended with exit code 7, saying nothing$/],
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
      expect(failure.message).not.toContain('eyJ');
      expect(failure.cause).toBeUndefined();
    });

    it('has the certificate of the cluster from a file, too', async () => {
      const api = await serve((_request, response) => {
        json(response, 200, pod);
      });
      const exec = await plugin(
        `printf %s "$KUBERNETES_EXEC_INFO" > "$0.info"; echo '{"status":{"token":"t"}}'`,
      );
      const file = path.join(await folder(), 'ca.crt');
      await writeFile(file, 'certificate');
      const cluster = { certificateAuthority: { file, data: undefined } };
      await getPod(clientOf(api.config({ exec }, cluster)));
      expect(JSON.parse(await readFile(`${exec?.command ?? ''}.info`, 'utf8'))).toMatchObject({
        spec: {
          interactive: false,
          cluster: {
            'certificate-authority-data': Buffer.from('certificate').toString('base64'),
          },
        },
      });
    });

    it('in a version that is not supported are refused before anything is run', async () => {
      const api = await serve(() => undefined);
      const exec = await plugin('');
      const apiVersion = 'client.authentication.k8s.io/v1alpha1';
      const config = api.config({ exec: { ...exec!, apiVersion } });
      expect(() => createKubeClient(config, {})).toThrow(
        expect.objectContaining({
          code: 'KUBE_CREDENTIALS_FAILED',
          hint: expect.stringContaining('v1 and v1beta1'),
        }),
      );
    });

    /** Counts its runs: the first one gives `token-1`. */
    const counting = (status = ''): string =>
      `echo run >> "$0.log"; n=$(wc -l < "$0.log"); echo '{"status":{"token":"token-'$((n))'"${status}}}'`;

    it('are asked for again when they are refused, though they had not expired', async () => {
      const api = await serve((request, response) => {
        if (request.headers.authorization === 'Bearer token-1') refuse(response, 401, 'expired');
        else json(response, 200, pod);
      });
      const client = clientOf(api.config({ exec: await plugin(counting()) }));
      await Promise.all([getPod(client), getPod(client), getPod(client)]);
      const seen = new Set(api.requests.map(({ headers }) => headers.authorization));
      expect([...seen]).toEqual(['Bearer token-1', 'Bearer token-2']);
    });

    it('are kept only until they expire', async () => {
      const api = await serve((_request, response) => {
        json(response, 200, pod);
      });
      const exec = await plugin(counting(',"expirationTimestamp":"2001-01-01T00:00:00Z"'));
      const read = createTargetReader(api.config({ exec }), {});
      await read(never, { renew: false });
      const { headers } = await read(never, { renew: false });
      expect(headers.Authorization).toBe('Bearer token-2');
    });

    it('may take longer than an answer', async () => {
      const api = await serve((_request, response) => {
        json(response, 200, pod);
      });
      const exec = await plugin(`sleep 0.5; ${counting()}`);
      const client = clientOf(api.config({ exec }), {}, { answerTimeoutMs: 200 });
      await expect(getPod(client)).resolves.toBeDefined();
    });

    it('go on for the others when the one who asked first gives up', async () => {
      const api = await serve((_request, response) => {
        json(response, 200, pod);
      });
      const exec = await plugin(
        `echo run >> "$0.log"; while [ ! -e "$0.go" ]; do sleep 0.02; done; echo '{"status":{"token":"t"}}'`,
      );
      const client = clientOf(api.config({ exec }));
      const first = new AbortController();
      const one = getPod(client, first.signal);
      const other = getPod(client);
      first.abort(new Error('given up'));
      await expect(one).rejects.toThrow('given up');
      await writeFile(`${exec!.command}.go`, '');
      await expect(other).resolves.toBeDefined();
      expect(await readFile(`${exec!.command}.log`, 'utf8')).toBe('run\n');
    });

    /** Until the process that wrote its number to this file is gone. */
    async function gone(file: string): Promise<void> {
      const pid = Number(await readFile(file, 'utf8'));
      for (;;) {
        try {
          process.kill(pid, 0);
        } catch {
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }

    const hanging =
      'echo "please log in" >&2; echo $$ > "$0.tmp"; mv "$0.tmp" "$0.pid"; exec sleep 60';

    it('that never come are an error, and their plugin is ended', async () => {
      const api = await serve(() => undefined);
      const exec = await plugin(hanging);
      const client = clientOf(api.config({ exec }), {}, { pluginTimeoutMs: 500 });
      await expect(getPod(client)).rejects.toMatchObject({
        code: 'KUBE_CREDENTIALS_FAILED',
        message: expect.stringMatching(
          /get-token" .* failed: no answer within 0.5 s: please log in$/,
        ),
      });
      await gone(`${exec!.command}.pid`);
    });

    it('end with the client', async () => {
      const api = await serve(() => undefined);
      const exec = await plugin(hanging);
      const client = clientOf(api.config({ exec }));
      const asked = getPod(client);
      asked.catch(() => undefined);
      while (!existsSync(`${exec!.command}.pid`)) await new Promise(setImmediate);
      client[Symbol.dispose]();
      await expect(asked).rejects.toThrow('aborted');
      await gone(`${exec!.command}.pid`);
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
        /^The Kubernetes API server http:\/\/127\.0\.0\.1:\d+ cannot be reached: .*ECONNREFUSED/,
      ),
    });
  });

  it('names a name that does not resolve', async () => {
    const api = await serve(() => undefined);
    const config = api.config({}, { server: 'https://api.invalid:6443' });
    await expect(getPod(clientOf(config))).rejects.toMatchObject({
      message: expect.stringMatching(/the name api\.invalid cannot be resolved/),
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

  it('names the proxy also when a request breaks on an open connection', async () => {
    const api = await serve((_request, response) => response.destroy());
    const proxyUrl = `http://user:secret@127.0.0.1:${String(await startProxy([]))}`;
    const client = clientOf(api.config({}, { proxyUrl }));
    const failure = await getPod(client).catch((thrown: unknown) => thrown);
    expect(String(failure)).toContain(`through the proxy ${new URL(proxyUrl).host}: `);
    expect(String(failure)).not.toContain('secret');
  });

  it('makes a connection for each client certificate', async () => {
    const authority = new TestAuthority();
    const keyFile = path.join(await folder(), 'key');
    const certFile = path.join(path.dirname(keyFile), 'cert');
    const save = async (name: string): Promise<void> => {
      const { key, cert } = authority.issue(name);
      await Promise.all([writeFile(keyFile, key), writeFile(certFile, cert)]);
    };
    await save('old');
    let asked = 0;
    const api = await serve(
      (_request, response) => {
        asked += 1;
        if (asked > 1) json(response, 200, pod);
        else {
          void save('new').then(() => {
            refuse(response, 401, 'expired');
          });
        }
      },
      authority.issue('api', ['127.0.0.1']),
    );
    const user = {
      clientCertificate: { file: certFile, data: undefined },
      clientKey: { file: keyFile, data: undefined },
    };
    const ca = { data: Buffer.from(authority.cert).toString('base64'), file: undefined };
    await getPod(clientOf(api.config(user, { certificateAuthority: ca })));
    expect(new Set(api.requests.map(({ connection }) => connection)).size).toBe(2);
  });

  it.each(['ftp://ci:secret@api.example', 'https://ci:secret@'])(
    'is refused without being shown when it is no URL of a server: %s',
    async (server) => {
      const api = await serve(() => undefined);
      expect(() => createKubeClient(api.config({}, { server }), {})).toThrow(
        expect.objectContaining({
          code: 'KUBECONFIG_INVALID',
          message: expect.not.stringContaining('secret'),
        }),
      );
    },
  );

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
