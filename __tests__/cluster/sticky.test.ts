import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';

import { findCluster } from '../../scripts/find-cluster.ts';
import { rankByRendezvous } from '../../src/kubernetes/choice/rendezvous.ts';
import { Playground } from '../helpers/action-on-cluster.ts';

const cluster = findCluster();
const repositories = Array.from({ length: 8 }, (_item, index) => `acme/service-${index + 1}`);
const pool = { name: 'sticky', cleanup: 'false' };

jest.setTimeout(120_000);

let playground: Playground;
let driverOpts: string;

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  driverOpts = playground.driverOpts({
    replicas: '4',
    ...(cluster.image === undefined ? {} : { image: cluster.image }),
  });
});

afterAll(async () => {
  await playground[Symbol.asyncDispose]();
});

/** Builds in a job of its own; resolves with the pod. */
async function build(repository: string): Promise<string> {
  const step = playground.job({ repository }).step({ ...pool, 'driver-opts': driverOpts });
  const { exitCode, log } = await step.main().done;
  expect([exitCode, log]).toEqual([0, expect.stringContaining(`the favourite of ${repository}`)]);
  return /^BuildKit \S+ answered in pod (\S+)/m.exec(log)?.[1] ?? '';
}

/**
 * Builds each repository, and tells its pod.
 *
 * At the same time only those that prefer different pods: one that builds passes the next one on.
 */
async function buildAll(pods: readonly string[]): Promise<Map<string, string>> {
  const objects = pods.map((name) => ({ metadata: { name, uid: name } }));
  const favouriteOf = (repository: string): string =>
    rankByRendezvous(objects, repository)[0]!.metadata.name;
  const built = new Map<string, string>();
  let waiting = repositories;
  while (waiting.length > 0) {
    const group = [...new Map(waiting.map((each) => [favouriteOf(each), each])).values()];
    const found = await Promise.all(group.map(build));
    for (const [index, repository] of group.entries()) built.set(repository, found[index]!);
    waiting = waiting.filter((each) => !group.includes(each));
  }
  return built;
}

it('builds each repository on a pod of its own choice, and a lost pod moves its repositories alone', async () => {
  const { namespace, core } = playground;
  const setup = playground.job().step({ ...pool, 'driver-opts': driverOpts }, {}, 'setup');
  expect(await setup.main().done).toMatchObject({ exitCode: 0 });
  const pods = await playground.runningPods(pool.name, 4);
  const before = await buildAll(pods);
  expect(new Set(before.values()).size).toBeGreaterThan(1);
  expect(await buildAll(pods)).toEqual(before);

  const lost = before.get(repositories[0]!)!;
  await core.deleteNamespacedPod({ namespace, name: lost, gracePeriodSeconds: 0 });
  const left = await playground.runningPods(pool.name, 4);
  for (const [repository, pod] of await buildAll(left)) {
    const was = before.get(repository)!;
    expect(left).toContain(pod);
    // The pod that has come in its place takes its share, of those that stayed too.
    if (pods.includes(pod) && was !== lost) expect([repository, pod]).toEqual([repository, was]);
  }
});
