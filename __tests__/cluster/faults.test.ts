import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BatchV1Api, KubeConfig } from '@kubernetes/client-node';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { StepResult } from '../../scripts/action-runner.ts';
import { findCluster } from '../../scripts/find-cluster.ts';
import { cancelAsRunner, Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';

const cluster = findCluster();
const slowDockerfile = 'FROM busybox\nRUN echo started; sleep 60\n';

// Steps of some seconds take longer where several tests share a machine.
jest.setTimeout(60_000);

let playground: Playground;

beforeEach(async () => {
  playground = await Playground.create({ cluster });
}, 30_000);

afterEach(async () => {
  await playground[Symbol.asyncDispose]();
}, 30_000);

/**
 * Main failed with this code and text, told as the one error and the last word; post passed; nothing
 * is left.
 */
async function expectFailure(
  { main, post }: { main: StepResult; post: StepResult },
  code: string,
  ...texts: (string | RegExp)[]
): Promise<void> {
  expect(main.log.match(/^::error/gm)).toHaveLength(1);
  expect(main.log.trimEnd().split('\n').at(-1)).toMatch(/^::error/);
  expect(main.log).toContain(code);
  for (const text of texts) expect(main.log).toMatch(text);
  expect(main).toMatchObject({ exitCode: 1, signal: null });
  expect(post).toMatchObject({ exitCode: 0, signal: null });
  expect(await playground.left()).toEqual([]);
}

describe('the way to the cluster', () => {
  it('says where it looked when there is no kubeconfig', async () => {
    const result = await playground.run({}, { KUBECONFIG: '', HOME: playground.temp });
    await expectFailure(result, 'KUBECONFIG_MISSING', 'kubeconfig', 'KUBECONFIG', '.kube/config');
  });

  it('names the server that cannot be reached', async () => {
    const kubeconfig = playground.kubeconfig((config) => {
      for (const { cluster: each } of config.clusters) each.server = 'https://127.0.0.1:1';
    });
    const result = await playground.run({ kubeconfig });
    await expectFailure(result, 'KUBE_API_UNREACHABLE', 'https://127.0.0.1:1', /refused/i);
  });

  it('lists the contexts there are', async () => {
    const result = await playground.run({ 'kube-context': 'nowhere' });
    const contexts: string[] = [];
    playground.kubeconfig((config) => {
      contexts.push(...config.contexts.map(({ name }) => name));
    });
    expect(contexts).not.toEqual([]);
    await expectFailure(result, 'KUBE_CONTEXT_UNKNOWN', 'nowhere', ...contexts);
  });

  it('says that a token is no longer good', async () => {
    const { namespace } = playground;
    const name = 'gone';
    await playground.core.createNamespacedServiceAccount({
      namespace,
      body: { metadata: { name } },
    });
    const token = await playground.createToken(name);
    await playground.core.deleteNamespacedServiceAccount({ name, namespace });
    const result = await playground.run({ kubeconfig: playground.kubeconfigWithToken(token) });
    await expectFailure(result, 'KUBE_UNAUTHORIZED', /expired/);
    for (const { log } of [result.main, result.post]) {
      const printed = log.split('\n').filter((line) => line !== `::add-mask::${token}`);
      expect(printed.join('\n')).not.toContain(token);
    }
    expect(result.main.log).toContain(`::add-mask::${token}\n`);
  });

  it('names the missing namespace', async () => {
    const result = await playground.run({ 'driver-opts': 'namespace=not-there' });
    await expectFailure(result, 'NAMESPACE_MISSING', 'not-there');
  });

  it('lists every missing verb with the Role to apply', async () => {
    const rules: Rule[] = [
      { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    ];
    const kubeconfig = await playground.kubeconfigWithRules(rules);
    const result = await playground.run({ kubeconfig });
    await expectFailure(
      result,
      'KUBE_FORBIDDEN',
      /create.*deployments/,
      /pods\/exec/,
      /configmaps/,
      'kind: Role',
    );
    expect(result.main.summary).toMatch(/^### Rights are missing\n[^]*```yaml\n[^]*kind: Role\n/);
  });
});

describe('inputs', () => {
  it('reports all that is wrong at once, before anything is created', async () => {
    const result = await playground.run({
      'driver-opts': playground.driverOpts({
        'requests.memory': '12Gb',
        replica: '2',
        image: 'UPPER//case',
      }),
      tags: 'not a reference!',
      context: 'no-such-folder',
    });
    await expectFailure(
      result,
      'INPUT',
      '12Gb',
      /replica.*replicas/,
      'UPPER//case',
      'not a reference!',
      'no-such-folder',
    );
    expect(result.main.log).not.toContain('Builder');
  });

  it('names the Dockerfile that is not there', async () => {
    const result = await playground.run({ file: 'docker/Dockerfile' });
    await expectFailure(result, 'DOCKERFILE_MISSING', 'docker/Dockerfile');
  });

  it('refuses what is not supported yet', async () => {
    const result = await playground.run({ 'cache-to': 'type=inline' });
    await expectFailure(result, 'INPUT_UNSUPPORTED', 'cache-to', 'not supported yet');
  });
});

describe('pods that cannot come', () => {
  it('ends the wait when the image cannot be pulled', async () => {
    const image = `${cluster.registry}/no/such/image:1`;
    const result = await playground.run({ 'driver-opts': playground.driverOpts({ image }) });
    await expectFailure(result, 'BUILDER_IMAGE_PULL', image);
  });

  it('ends the wait when no node has the architecture', async () => {
    const result = await playground.run({ platforms: 'linux/s390x' });
    await expectFailure(result, 'BUILDER_UNSCHEDULABLE', 's390x');
  });

  it('ends the wait when the quota is used up', async () => {
    await playground.core.createNamespacedResourceQuota({
      namespace: playground.namespace,
      body: { metadata: { name: 'small' }, spec: { hard: { 'requests.memory': '100Mi' } } },
    });
    const result = await playground.run({});
    await expectFailure(result, 'BUILDER_QUOTA', 'small', 'requests.memory');
  });
});

describe('builds that fail', () => {
  it('points at the line of a syntax error', async () => {
    playground.context.add({ Dockerfile: 'FROM busybox\nRUNN true\n' });
    const result = await playground.run({});
    await expectFailure(result, 'SOLVE_FAILED', 'RUNN', /Dockerfile:2/);
  });

  it('shows the lines and the log of a failing step, outside of any group', async () => {
    playground.context.add({ Dockerfile: 'FROM busybox\nRUN echo something went wrong; exit 3\n' });
    const result = await playground.run({});
    await expectFailure(result, 'SOLVE_FAILED', /exit code: 3/, />>> RUN echo something/);
    const lastGroupEnd = result.main.log.lastIndexOf('::endgroup::');
    expect(result.main.log.slice(lastGroupEnd)).toContain('something went wrong');
    expect(result.main.log).toMatch(/::error.*file=Dockerfile.*line=2/);
  });

  it('tells what the registry said when it refuses the push', async () => {
    await using registry = await startRefusingRegistry();
    const host = registryHost();
    playground.context.add({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const result = await playground.run({
      outputs: `type=image,name=${host}:${String(registry.port)}/acme/app:1,push=true,registry.insecure=true`,
    });
    await expectFailure(result, 'SOLVE_FAILED', /denied|403/i, 'acme/app');
  });
});

describe('builders that are lost', () => {
  it('says that the pod was deleted', async () => {
    playground.context.add({ Dockerfile: slowDockerfile });
    const step = playground.step({ retries: '0' });
    const running = step.main();
    await running.logged('started');
    const { namespace } = playground;
    const { items } = await playground.core.listNamespacedPod({ namespace });
    const name = items[0]?.metadata?.name ?? '';
    await playground.core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 1 });
    const main = await running.done;
    await expectFailure({ main, post: await step.post().done }, 'BUILDER_LOST', name, /deleted/);
  });

  it('tries again on another pod, and post still removes the builder', async () => {
    playground.context.add({ Dockerfile: 'FROM busybox\nRUN echo started; sleep 4\n' });
    const step = playground.step({ retries: '1' });
    const running = step.main();
    await running.logged('started');
    const { namespace } = playground;
    const { items } = await playground.core.listNamespacedPod({ namespace });
    const name = items[0]?.metadata?.name ?? '';
    await playground.core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 1 });
    expect(await running.done).toMatchObject({ exitCode: 0, outputs: { attempts: '2' } });
    expect(await step.post().done).toMatchObject({ log: expect.stringMatching(/^Removed /m) });
  });

  it('says that the connection was cut while the pod is fine', async () => {
    playground.context.add({ Dockerfile: slowDockerfile });
    const server = new URL(serverUrl());
    await using proxy = await startTcpProxy({ host: server.hostname, port: Number(server.port) });
    const kubeconfig = playground.kubeconfig((config) => {
      for (const { cluster: each } of config.clusters) {
        each.server = `https://127.0.0.1:${String(proxy.port)}`;
        each['tls-server-name'] = server.hostname;
      }
    });
    const step = playground.step({ kubeconfig, connection: 'exec', retries: '0' });
    const running = step.main();
    await running.logged('started');
    proxy.cut();
    const main = await running.done;
    await expectFailure(
      { main, post: await step.post().done },
      'BUILDER_LOST',
      /still running: the connection was cut/,
      /Caused by: .*(ECONNRESET|closed|ended|cut|hang up)/,
    );
  });
});

describe('cancellation', () => {
  beforeEach(() => {
    playground.context.add({ Dockerfile: slowDockerfile });
  });

  it('ends in time when the runner cancels, and post removes the builder', async () => {
    const step = playground.step({});
    const running = step.main();
    await running.logged('started');
    const main = await cancelAsRunner(running);
    expect(main.signal).toBe(null);
    expect(main.exitCode).not.toBe(0);
    expect(main.log).toMatch(/cancel/i);
    expect(await step.post().done).toMatchObject({ exitCode: 0 });
    expect(await playground.left()).toEqual([]);
  });

  it('ends in time while it waits for a pod that cannot come', async () => {
    const step = playground.step({
      'driver-opts': playground.driverOpts({ 'requests.memory': '4000Gi' }),
    });
    const running = step.main();
    await running.logged(/no node/);
    const cancelledAt = performance.now();
    const main = await cancelAsRunner(running);
    // The runner would send SIGTERM next.
    expect(performance.now() - cancelledAt).toBeLessThan(7_500);
    expect(main).toMatchObject({ exitCode: 1, signal: null });
    expect(main.log.match(/^::error.*/gm)).toEqual([expect.stringMatching(/cancelled by SIGINT/)]);
    expect(await step.post().done).toMatchObject({ exitCode: 0 });
    expect(await playground.left()).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'leaves nothing after %s',
    async (signal) => {
      const step = playground.step({});
      const running = step.main();
      await running.logged('started');
      running.child.kill(signal);
      const main = await running.done;
      expect(main.exitCode).not.toBe(0);
      expect(await step.post().done).toMatchObject({ exitCode: 0 });
      expect(await playground.left()).toEqual([]);
    },
    60_000,
  );

  it('leaves nothing when killed while the builder is being made', async () => {
    const step = playground.step({});
    const running = step.main();
    await running.logged(/Builder/);
    running.child.kill('SIGKILL');
    await running.done;
    expect(await step.post().done).toMatchObject({ exitCode: 0 });
    expect(await playground.left()).toEqual([]);
  });

  it('stops a build that takes longer than its timeout', async () => {
    const result = await playground.run({ timeout: '5s' });
    await expectFailure(result, 'SOLVE_TIMEOUT', /within 5 s/);
  });
});

describe('a runner that is lost for good', () => {
  it('would leave a builder five minutes at most, and leaves it its life between two steps', async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    const batch = config.makeApiClient(BatchV1Api);
    const { namespace } = playground;
    const remainingSeconds = async (): Promise<number> => {
      const { items } = await batch.listNamespacedJob({ namespace });
      const [job, ...more] = items;
      expect(more).toEqual([]);
      const startedMs = job?.status?.startTime?.getTime() ?? NaN;
      const ageSeconds = (Date.now() - startedMs) / 1000;
      return (job?.spec?.activeDeadlineSeconds ?? NaN) - ageSeconds;
    };
    playground.context.add({ Dockerfile: slowDockerfile });
    const step = playground.step({ 'max-lifetime': '6h' });
    const running = step.main();
    await running.logged('started');
    expect(await remainingSeconds()).toBeLessThan(302);
    await cancelAsRunner(running);
    expect(await remainingSeconds()).toBeGreaterThan(5.9 * 3600);
    expect(await step.post().done).toMatchObject({ exitCode: 0 });
    expect(await playground.left()).toEqual([]);
  });

  it('leaves a builder that expires by itself', async () => {
    playground.context.add({ Dockerfile: slowDockerfile });
    const step = playground.step({ 'max-lifetime': '10s' });
    const running = step.main();
    await running.logged('started');
    running.child.kill('SIGKILL');
    await running.done;
    await sleep(10_000);
    expect(await playground.left()).toEqual([]);
  }, 90_000);
});

function registryHost(): string {
  return cluster.registry.replace(/:\d+$/, '');
}

function serverUrl(): string {
  let url = '';
  playground.kubeconfig((config) => {
    url = String(config.clusters[0]?.cluster.server);
  });
  return url;
}

/** Answers every push with the error that registries give for a missing permission. */
async function startRefusingRegistry(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((request, response) => {
    if (request.url === '/v2/') {
      response.end('{}');
      return;
    }
    response.writeHead(request.method === 'HEAD' ? 404 : 403, {
      'content-type': 'application/json',
    });
    response.end(
      JSON.stringify({ errors: [{ code: 'DENIED', message: 'requested access is denied' }] }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}
