import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';

import { findCluster } from '../../scripts/find-cluster.ts';
import { Playground } from '../helpers/action-on-cluster.ts';

const cluster = findCluster();
const repositories = Array.from({ length: 8 }, (_item, index) => `acme/service-${index + 1}`);
const pool = { name: 'sticky', cleanup: 'false' };

jest.setTimeout(120_000);

let playground: Playground;

beforeAll(async () => {
  playground = await Playground.create({ cluster });
});

afterAll(async () => {
  await playground[Symbol.asyncDispose]();
});

/** Builds in a job of its own; resolves with the pod. */
async function build(repository: string): Promise<string> {
  const step = playground.job({ repository }).step({ ...pool, 'driver-opts': driverOpts });
  const { exitCode, log } = await step.main().done;
  expect([exitCode, log]).toEqual([0, expect.stringContaining('favourite of acme/')]);
  return /^BuildKit \S+ answered in pod (\S+)/m.exec(log)?.[1] ?? '';
}

/** The pod of each repository; two at a time where they are known to have different ones. */
async function buildAll(known: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  const pods = new Map<string, string>();
  const waiting = [...repositories];
  while (waiting.length > 0) {
    const first = waiting.shift()!;
    const favourite = known.get(first);
    const second = waiting.findIndex((other) => favourite && known.get(other) !== favourite);
    const pair = [first, ...(second < 0 ? [] : waiting.splice(second, 1))];
    const built = await Promise.all(pair.map(build));
    for (const [index, repository] of pair.entries()) pods.set(repository, built[index]!);
  }
  return pods;
}

let driverOpts: string;

it('builds each repository on a pod of its own choice, and a lost pod moves its repositories alone', async () => {
  const { namespace, core } = playground;
  driverOpts = playground.driverOpts({ replicas: '4', image: cluster.image ?? '' });
  const setup = playground.job().step({ ...pool, 'driver-opts': driverOpts }, {}, 'setup');
  expect(await setup.main().done).toMatchObject({ exitCode: 0 });
  const pods = await playground.readyPods(pool.name, 4);
  const before = await buildAll(new Map());
  expect(pods).toEqual(expect.arrayContaining([...before.values()]));
  expect(new Set(before.values()).size).toBeGreaterThan(1);
  expect(await buildAll(before)).toEqual(before);

  const lost = before.get(repositories[0]!)!;
  await core.deleteNamespacedPod({ namespace, name: lost, gracePeriodSeconds: 0 });
  // One after the other: a pod that builds passes the next one on.
  const after = await buildAll(new Map());
  for (const [repository, pod] of after) {
    const was = before.get(repository)!;
    // The pod that comes in its place takes its share, of those that stayed too.
    if (pods.includes(pod) && was !== lost) expect([repository, pod]).toEqual([repository, was]);
    expect(pod).not.toBe(lost);
  }
});
