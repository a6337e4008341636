import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import type { StepResult } from '../../scripts/action-runner.ts';
import { findCluster } from '../../scripts/find-cluster.ts';
import { type ClusterJob, Playground, type Rule } from '../helpers/action-on-cluster.ts';

const cluster = findCluster();

jest.setTimeout(60_000);

let playground: Playground;

beforeAll(async () => {
  const files = { Dockerfile: 'FROM busybox\nRUN uname -n >/node\n' };
  playground = await Playground.create({ cluster, files });
});

afterAll(async () => {
  await playground[Symbol.asyncDispose]();
});

/** A build on a builder, with its post step; both pass. */
async function build(
  job: ClusterJob,
  inputs: Readonly<Record<string, string>>,
): Promise<StepResult> {
  const { main, post } = await job.run(inputs);
  expect(main).toMatchObject({ exitCode: 0, log: expect.stringContaining('#') });
  expect(post).toMatchObject({ exitCode: 0, log: expect.stringMatching(/^Left builder /m) });
  return main;
}

/** The pod whose daemon answered. */
function podOf({ log }: StepResult): string | undefined {
  return /^BuildKit \S+ answered in pod (\S+)/m.exec(log)?.[1];
}

function fileOf(job: ClusterJob, name: string): string {
  return join(job.temp, 'kube-buildx', `${name}.json`);
}

describe('the setup action', () => {
  it('makes one builder for the steps of the job, and its post removes it', async () => {
    const job = playground.job();
    const setup = job.step({ 'max-lifetime': '20m' }, {}, 'setup');
    const { exitCode, outputs } = await setup.main().done;
    expect(exitCode).toBe(0);
    const name = outputs.name!;
    const nodeName = `${name}-linux-amd64`;
    const { namespace } = playground;
    const endpoint = `kubernetes:///${name}?namespace=${namespace}&workload=${nodeName}`;
    expect(outputs).toMatchObject({ driver: 'kubernetes', status: 'running', endpoint, flags: '' });
    expect(outputs.platforms).toMatch(/^linux\/amd64\b/);
    expect(JSON.parse(outputs.nodes!)).toEqual([
      expect.objectContaining({
        name: nodeName,
        endpoint,
        status: 'running',
        'buildkitd-flags': '',
        buildkit: expect.stringMatching(/^v\d/),
        platforms: outputs.platforms,
      }),
    ]);
    expect(statSync(fileOf(job, name)).mode & 0o777).toBe(0o600);
    const deadline = async (): Promise<number> => {
      const { spec } = await playground.batch.readNamespacedJob({ namespace, name });
      return spec?.activeDeadlineSeconds ?? NaN;
    };

    const first = await build(job, { builder: name });
    const second = await build(job, { builder: name });
    expect(podOf(second)).toBe(podOf(first));
    expect(second.outputs.name).toBe(name);
    expect(second.log).toContain('CACHED');
    // A step that uses a builder does not lengthen its life.
    expect(await deadline()).toBeLessThanOrEqual(20 * 60);

    const { exitCode: postCode, log } = await setup.post().done;
    expect([postCode, log]).toEqual([0, expect.stringContaining(`Removed builder ${name}`)]);
    expect(existsSync(fileOf(job, name))).toBe(false);
    expect(await playground.left()).toEqual([]);
  });

  it('makes further nodes, and builds go to that of their platform', async () => {
    const job = playground.job();
    const inputs = {
      platforms: 'linux/amd64',
      append: '- platforms: linux/arm64\n  buildkitd-flags: --debug',
    };
    const setup = job.step(inputs, {}, 'setup');
    const { exitCode, outputs, log } = await setup.main().done;
    expect(exitCode).toBe(0);
    const name = outputs.name!;
    expect(outputs).toMatchObject({ platforms: 'linux/amd64,linux/arm64', flags: '' });
    expect(JSON.parse(outputs.nodes!)).toMatchObject([
      { name: `${name}-linux-amd64`, platforms: 'linux/amd64', 'buildkitd-flags': '' },
      { name: `${name}-linux-arm64`, platforms: 'linux/arm64', 'buildkitd-flags': '--debug' },
    ]);
    expect(log).toContain(`linux/arm64: Created builder ${name}`);
    expect(log.match(/^::group::/gm)).toHaveLength(1);

    const { namespace } = playground;
    const { items } = await playground.core.listNamespacedPod({ namespace });
    const nodeOf = (pod: string | undefined): string | undefined =>
      items.find(({ metadata }) => metadata?.name === pod)?.spec?.nodeName;
    const architecture = async (node: string | undefined): Promise<string | undefined> =>
      (await playground.core.readNode({ name: node! })).metadata?.labels?.['kubernetes.io/arch'];
    for (const [platforms, expected] of [
      ['linux/arm64', 'arm64'],
      ['', 'amd64'],
    ] as const) {
      const main = await build(job, { builder: name, platforms });
      expect(await architecture(nodeOf(podOf(main)))).toBe(expected);
    }
    const { log: postLog } = await setup.post().done;
    expect(postLog.match(/^(Removed|Left) builder .*/gm)).toEqual([
      `Removed builder ${name} in namespace ${namespace}`,
    ]);
    expect(await playground.left()).toEqual([]);
  });

  it('makes a pool that stays for other jobs, which name it', async () => {
    const pool = { name: 'stays', cleanup: 'false' };
    const maker = playground.job();
    const setup = maker.step(pool, {}, 'setup');
    const made = await setup.main().done;
    expect(made).toMatchObject({ exitCode: 0, outputs: { name: 'stays', status: 'running' } });
    expect(await setup.post().done).toMatchObject({
      exitCode: 0,
      log: expect.stringContaining('Left builder stays in namespace'),
    });
    expect(existsSync(fileOf(maker, 'stays'))).toBe(false);
    const { rules } = parse(readFileSync('docs/rbac/use-only.yaml', 'utf8')) as { rules: Rule[] };
    const kubeconfig = await playground.kubeconfigWithRules(rules);
    const built = await build(playground.job(), { builder: 'stays', kubeconfig });
    expect(podOf(built)).toBe(podOf(made));
    expect(built.log).not.toMatch(/No right|forbidden/);
    const elsewhere = playground.job().step({ builder: 'stays', platforms: 'linux/s390x' });
    expect((await elsewhere.main().done).log).toMatch(
      /there is no builder "stays" with a node for linux\/s390x in namespace .* \[BUILDER_MISSING\]/,
    );
  });

  it('names every input that is wrong, before it asks the cluster', async () => {
    const inputs = {
      'driver-opts': 'replica=2',
      append: '- platforms: linux/arm64\n  driver-opt: x=1\n- driver-opts: replicas=0',
      'keep-state': 'true',
      'max-lifetime': 'long',
    };
    const step = playground.job().step(inputs, {}, 'setup');
    const { exitCode, log, outputs } = await step.main().done;
    expect(exitCode).toBe(1);
    for (const text of [/driver-opts.*replica/, /append.*item 1.*driver-opt/, /append.*item 2/]) {
      expect(log).toMatch(text);
    }
    expect(log).toMatch(/keep-state/);
    expect(log).toMatch(/max-lifetime/);
    expect(log).not.toContain('Cluster');
    expect(outputs).toEqual({});
    const { exitCode: postCode, log: postLog } = await step.post().done;
    expect([postCode, postLog]).toEqual([0, expect.stringMatching(/^Nothing to remove/)]);
  });
});
