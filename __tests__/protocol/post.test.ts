import { afterEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { type Answer, FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';

const root = join(import.meta.dirname, '..', '..');
const builder = {
  namespace: 'ci',
  name: 'kbx-a',
  workload: 'kbx-a-linux',
  resource: 'deployments',
  life: 'job',
  creator: 'me',
  jobId: 'j',
};
const own = {
  metadata: {
    name: 'x',
    uid: 'u',
    labels: {
      'app.kubernetes.io/managed-by': 'kube-buildx-action',
      'app.kubernetes.io/instance': 'kbx-a',
    },
    annotations: { 'kube-buildx-action/creator': 'me' },
  },
};
const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

/** What post prints for this builder, in a process of its own. */
async function post(
  answer: Answer,
  {
    expiry,
    timeoutMs = 10_000,
    life = 'job',
  }: { readonly expiry?: string; readonly timeoutMs?: number; readonly life?: string } = {},
): Promise<string> {
  const api = await FakeKubeApi.start(answer);
  open.push(api);
  const kubeconfig = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${String(api.port)}` } }],
    users: [{ name: 'u', user: { token: 's3cr3t-t0ken' } }],
  });
  const program = `import { post } from './src/post.ts'; await post({ timeoutMs: ${String(timeoutMs)} });`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    {
      cwd: root,
      env: {
        INPUT_KUBECONFIG: kubeconfig,
        STATE_builders: JSON.stringify([{ builder: { ...builder, life }, node: 0, expiry }]),
      },
    },
  );
  return stdout;
}

const warningOf = (log: string): string =>
  /^::warning::(.*)$/m.exec(log)?.[1]?.replaceAll('%0A', '\n') ?? '';

describe('post', () => {
  it('hides the token before it does anything', async () => {
    const log = await post((_request, response) => {
      refuse(response, 404, 'not found');
    });
    expect(log).toContain('::add-mask::s3cr3t-t0ken\n');
    expect(log.match(/s3cr3t-t0ken/g)).toHaveLength(1);
    expect(log).toContain('Left builder kbx-a in namespace ci alone');
  });

  it('warns that a cluster which does not answer keeps the builder, and for how long', async () => {
    const log = await post(() => undefined, {
      expiry: 'it expires at 2031-01-01T06:00:00Z at the latest',
      timeoutMs: 1_000,
    });
    expect(warningOf(log)).toBe(
      'Could not remove builder kbx-a in namespace ci; it expires at 2031-01-01T06:00:00Z at the latest\n' +
        'the Kubernetes API server did not do it within 1 s [KUBE_API_UNREACHABLE]',
    );
  });

  it('promises no expiry where main did not get so far', async () => {
    const log = await post((_request, response) => {
      refuse(response, 422, 'no');
    });
    expect(warningOf(log)).toMatch(
      /^Could not remove builder kbx-a in namespace ci; main ended too early to tell .*\n.*\[KUBE_API_FAILED\]/,
    );
  });

  it('passes when all is deleted and only the pods cannot be seen any more', async () => {
    const log = await post((request, response) => {
      if (request.path.endsWith('/pods')) {
        refuse(response, 403, 'User "u" cannot list resource "pods"');
      } else json(response, 200, own);
    });
    expect(log).toContain('Deleted builder kbx-a in namespace ci; the cluster is still stopping');
    expect(log).not.toContain('::warning');
  });

  it('asks a cluster nothing for a builder that stays', async () => {
    const asked: string[] = [];
    const log = await post(
      (request) => {
        asked.push(request.path);
      },
      { life: 'pool' },
    );
    expect(log).toBe('Left builder kbx-a in namespace ci as it is\n');
    expect(asked).toEqual([]);
  });
});
