import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type KubeConfigOptions, loadKubeConfig } from '../../../src/kubernetes/kube-config.ts';

const config = (name: string, more = ''): string => `
apiVersion: v1
kind: Config
current-context: ${name}
contexts:
- name: ${name}
  context: {cluster: ${name}, user: ${name}, namespace: ns-${name}}
clusters:
- name: ${name}
  cluster: {server: "https://${name}.example:6443", certificate-authority: pki/ca.crt}
users:
- name: ${name}
  user: {token: token-of-${name}}
${more}`;

let folder: string;
let base: KubeConfigOptions;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kube-config-'));
  base = {
    kubeconfig: undefined,
    kubeContext: undefined,
    env: {},
    homeFolder: path.join(folder, 'home'),
    serviceAccountFolder: path.join(folder, 'no-service-account'),
  };
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function save(name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

const load = (options: Partial<KubeConfigOptions>) => loadKubeConfig({ ...base, ...options });

describe('loadKubeConfig', () => {
  describe('takes the first source that is there', () => {
    it('the input, then KUBECONFIG, then the home folder, then the pod', async () => {
      const env = { KUBECONFIG: await save('variable.yaml', config('variable')) };
      await save('home/.kube/config', config('home'));
      const inPod = {
        serviceAccountFolder: path.join(folder, 'sa'),
        env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
      };
      await save('sa/token', 'secret');
      await save('sa/namespace', 'runners\n');

      expect((await load({ ...inPod, env, kubeconfig: config('input') })).name).toBe('input');
      expect((await load({ ...inPod, env })).name).toBe('variable');
      expect(await load(inPod)).toMatchObject({ name: 'home', source: '~/.kube/config' });
      const pod = await load({ ...inPod, homeFolder: path.join(folder, 'elsewhere') });
      expect(pod).toMatchObject({
        namespace: 'runners',
        cluster: { server: 'https://[fd00::1]:443' },
        user: { tokenFile: path.join(folder, 'sa/token') },
      });
    });

    it('and names all of them when there is none', async () => {
      await expect(load({})).rejects.toMatchObject({
        code: 'KUBECONFIG_MISSING',
        message: expect.stringMatching(
          /input kubeconfig.*KUBECONFIG.*\.kube\/config.*service account/,
        ),
      });
    });
  });

  describe('the input', () => {
    it.each([
      ['YAML', (text: string) => text],
      ['base64', (text: string) => Buffer.from(text).toString('base64')],
      [
        'base64 in lines',
        (text: string) => Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\n'),
      ],
      [
        'JSON',
        () =>
          '{"contexts":[{"name":"one","context":{"cluster":"c"}}],"current-context":"one","clusters":[{"name":"c","cluster":{"server":"https://one.example:6443"}}]}',
      ],
    ])('may be %s', async (_name, encode) => {
      const loaded = await load({ kubeconfig: encode(config('one')) });
      expect(loaded.cluster.server).toBe('https://one.example:6443');
    });

    it('may be a path, also below the home folder; its own paths start at the file', async () => {
      const file = await save('home/kube/config.yaml', config('file'));
      expect((await load({ kubeconfig: ` ${file}\n` })).cluster.certificateAuthority.file).toBe(
        path.join(folder, 'home/kube/pki/ca.crt'),
      );
      expect((await load({ kubeconfig: '~/kube/config.yaml' })).name).toBe('file');
    });

    it('that is nothing of it is an error, without looking further', async () => {
      await save('home/.kube/config', config('home'));
      await expect(load({ kubeconfig: '/no/such/file' })).rejects.toMatchObject({
        code: 'KUBECONFIG_MISSING',
        message: expect.stringContaining('"/no/such/file"'),
      });
    });

    it.each([
      `s3cr3t-${'x'.repeat(300)}`,
      's3cr3t.token.of-a_service-account',
      's3cr3t/with+slashes=',
      `/s3cr3t${'x'.repeat(60)}`,
    ])('is not shown where it may be a secret: %s', async (secret) => {
      const failure = await load({ kubeconfig: secret }).catch((thrown: unknown) => thrown);
      expect(String(failure)).not.toContain('s3cr3t');
    });
  });

  describe('KUBECONFIG', () => {
    it('is a list in which the first to define a name wins, and missing files do not matter', async () => {
      const one = await save('one.yaml', config('one').replace('current-context: one\n', ''));
      const two = await save(
        'sub/two.yaml',
        `${config('two')}
- name: one
  user: {token: other}
`,
      );
      const env = { KUBECONFIG: ['', '/missing', one, two].join(':') };
      expect(await load({ env })).toMatchObject({
        name: 'two',
        cluster: { certificateAuthority: { file: path.join(folder, 'sub/pki/ca.crt') } },
      });
      const first = await load({ env, kubeContext: 'one' });
      expect(first).toMatchObject({ namespace: 'ns-one', user: { token: 'token-of-one' } });
    });

    it('that names no existing file is an error, not a reason to look elsewhere', async () => {
      await save('home/.kube/config', config('home'));
      await expect(load({ env: { KUBECONFIG: '/a:/b' } })).rejects.toMatchObject({
        code: 'KUBECONFIG_MISSING',
        message: 'KUBECONFIG (/a:/b) names no existing file',
      });
    });
  });

  it.each([
    ['KUBECONFIG', (text: string) => ({ env: { KUBECONFIG: text } })],
    ['the input', (text: string) => ({ kubeconfig: text })],
  ])('never shows text that was given in place of a path: %s', async (_name, give) => {
    const text = 'token: hunter2: /etc\n';
    const failure = await load(give(text)).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: 'KUBECONFIG_MISSING' });
    expect(String(failure)).not.toContain('hunter2');
  });

  describe('contexts', () => {
    it('that are not chosen, and what they name, may be broken', async () => {
      const broken = config('one')
        .replace('clusters:', '- name: stale\n  context: {user: one}\n- nothing\nclusters:')
        .replace('users:', '- name: stale\n- {}\nusers:')
        .concat('- name: stale\n  user: {exec: {}, as-uid: "7"}\n- name: worse\n  user: 7\n');
      expect(await load({ kubeconfig: broken })).toMatchObject({ name: 'one' });
      await expect(load({ kubeconfig: broken, kubeContext: 'stale' })).rejects.toMatchObject({
        code: 'KUBECONFIG_INVALID',
        message: expect.stringContaining('contexts[1].context.cluster is missing'),
      });
    });

    it.each(['as-uid: "7"', 'as-user-extra: {scopes: [view]}'])(
      'are refused where a user would act as another than meant: %s',
      async (more) => {
        const kubeconfig = config('one').replace('{token: token-of-one}', `{as: other, ${more}}`);
        await expect(load({ kubeconfig })).rejects.toMatchObject({
          code: 'KUBECONFIG_INVALID',
          message: expect.stringMatching(/users\[0\]\.user\.as-u\S+ is not supported$/),
          hint: 'Use a user without it.',
        });
      },
    );

    it('that are unknown are answered with those that are', async () => {
      const more = '\n';
      const kubeconfig = config('one', more).replace(
        'clusters:',
        '- name: another\n  context: {cluster: one}\nclusters:',
      );
      await expect(load({ kubeconfig, kubeContext: 'prod' })).rejects.toMatchObject({
        code: 'KUBE_CONTEXT_UNKNOWN',
        message: 'kube-context "prod" is not in the kubeconfig input; known are: another, one',
      });
    });

    it('without a namespace mean default, without a user nobody', async () => {
      const kubeconfig = config('one').replace(', user: one, namespace: ns-one', '');
      expect(await load({ kubeconfig })).toMatchObject({
        namespace: 'default',
        user: { token: undefined },
      });
    });

    it.each([
      [
        'no current one',
        (text: string) => text.replace('current-context: one', ''),
        'KUBE_CONTEXT_UNKNOWN',
        /no current-context; contexts: known are: one/,
      ],
      [
        'a missing cluster',
        (text: string) => text.replace('cluster: one,', 'cluster: gone,'),
        'KUBECONFIG_INVALID',
        /names cluster "gone", which is missing/,
      ],
      [
        'a missing user',
        (text: string) => text.replace('user: one,', 'user: gone,'),
        'KUBECONFIG_INVALID',
        /names user "gone", which is missing/,
      ],
      [
        'no server',
        (text: string) => text.replace(/server: "[^"]*",/, ''),
        'KUBECONFIG_INVALID',
        /clusters\[0\]\.cluster\.server is missing/,
      ],
      [
        'a list that is none',
        (text: string) => text.replace(/users:[^]*/, 'users: 7'),
        'KUBECONFIG_INVALID',
        /"users" is no list/,
      ],
    ])('with %s', async (_name, change, code, message) => {
      await expect(load({ kubeconfig: change(config('one')) })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    });
  });

  it('never quotes a malformed file', async () => {
    const file = await save('bad.yaml', 'clusters:\n- name: x\n   token: hunter2: [\n');
    const failure = await load({ kubeconfig: file }).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: expect.stringMatching(/no valid YAML: [A-Z_]+ in line \d/),
    });
    expect(JSON.stringify(failure) + String((failure as Error).cause)).not.toContain('hunter2');
  });

  it('says what else a file is', async () => {
    const file = await save('other.yaml', 'hello: world\n');
    await expect(load({ kubeconfig: file })).rejects.toMatchObject({
      message: expect.stringContaining('neither "clusters" nor "contexts"'),
    });
  });

  it('says that a folder or a closed file cannot be read', async () => {
    await mkdir(path.join(folder, 'home/.kube/config'), { recursive: true });
    await expect(load({})).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: expect.stringContaining('EISDIR'),
    });
    const closed = await save('closed', config('x'));
    await chmod(closed, 0);
    if (process.getuid?.() !== 0) {
      await expect(load({ kubeconfig: closed })).rejects.toMatchObject({
        message: expect.stringContaining('EACCES'),
      });
    }
  });
});
