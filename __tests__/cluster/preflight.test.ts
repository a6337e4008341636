import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

import { findCluster } from '../../scripts/find-cluster.ts';
import { bootstrap, type Builder } from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { cleanUpBuilder, type Removal } from '../../src/kubernetes/teardown.ts';
import type {
  BuilderOptions,
  KubernetesDriverOptions,
  StateVolume,
} from '../../src/options/options.ts';
import type { Dialer } from '../../src/shared/dialer.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';

const cluster = findCluster();
const image = cluster.image ?? 'moby/buildkit:buildx-stable-1';
const never = new AbortController().signal;
const open: AsyncDisposable[] = [];
const clients: KubeClient[] = [];

let admin: KubeClient;
let playground: Playground;

beforeAll(async () => {
  admin = await clientFrom(cluster.kubeconfig);
  playground = await Playground.create({ cluster });
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
  for (const each of clients.splice(0)) each[Symbol.dispose]();
});

afterAll(async () => {
  admin[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
});

interface Asked extends Omit<Partial<BuilderOptions>, 'driver'> {
  readonly driver?: Partial<KubernetesDriverOptions>;
}

/** Where builders are made, as whom, and what the log said. */
class Place {
  readonly lines: string[] = [];
  readonly client: KubeClient;
  readonly namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  async start({ driver, ...asked }: Asked = {}): Promise<Builder> {
    const options = { namespace: this.namespace, image, timeoutMs: 60_000, ...driver };
    const builder = await bootstrap({
      client: this.client,
      builder: builderOptions({ maxLifetimeMs: 3_600_000, ...asked, driver: options }),
      job: testJob(),
      affinityKey: 'acme/app',
      buildxKey: '/workspace',
      logger: this.#logger,
      signal: never,
      onNamed: () => undefined,
    });
    open.push(builder);
    return builder;
  }

  cleanUp({ state }: Builder): Promise<Removal> {
    return cleanUpBuilder(this.client, state, { signal: never, logger: nullLogger });
  }

  get #logger() {
    return { ...nullLogger, info: (line: string) => this.lines.push(line) };
  }
}

/** A namespace of one test. */
async function newNamespace(labels: Readonly<Record<string, string>> = {}): Promise<Playground> {
  const own = await Playground.create({ cluster });
  open.push(own);
  const body = Object.entries(labels).map(([key, value]) => ({
    op: 'add',
    path: `/metadata/labels/${key.replace('/', '~1')}`,
    value,
  }));
  if (body.length > 0) await own.core.patchNamespace({ name: own.namespace, body });
  return own;
}

async function roleOf(file: string): Promise<Rule[]> {
  const { rules } = parse(readFileSync(`docs/rbac/${file}`, 'utf8')) as { rules: Rule[] };
  return Promise.resolve(rules);
}

/** A place in the shared namespace, for a user with exactly these rules. */
async function placeWith(rules: readonly Rule[]): Promise<Place> {
  const client = await clientFrom(await playground.kubeconfigWithRules(rules));
  clients.push(client);
  return new Place(client, playground.namespace);
}

function claim(storage: string): StateVolume {
  return { kind: 'claim', storage, storageClass: undefined, accessMode: 'ReadWriteOnce' };
}

/** Resolves once the daemon has spoken. */
async function connect(builder: Builder): Promise<void> {
  const greet = async (dial: Dialer, signal: AbortSignal): Promise<void> => {
    const stream = await dial(signal);
    await once(stream, 'data', { signal });
    stream.on('error', () => undefined).destroy();
  };
  await builder.connect(greet, never);
}

describe('a namespace that takes no builder', () => {
  it.each(['baseline', 'restricted'])(
    'by Pod Security %s says so in every mode',
    async (level) => {
      const own = await newNamespace({ 'pod-security.kubernetes.io/enforce': level });
      const place = new Place(admin, own.namespace);
      const modes = ['privileged', 'rootless', 'userns'] as const;
      const failures = await Promise.all(
        modes.map((mode) =>
          place.start({ driver: { mode } }).catch((thrown: unknown) => thrown as Error),
        ),
      );
      expect(failures).toEqual(
        modes.map((mode) =>
          expect.objectContaining({
            code: 'BUILDER_REFUSED',
            message: expect.stringMatching(
              new RegExp(
                `does not take the pods \\(mode=${mode}\\): violates PodSecurity "${level}:`,
              ),
            ),
            hint: expect.stringMatching(/pod-security\.kubernetes\.io\/enforce=privileged/),
          }),
        ),
      );
      await expect(place.start({ driver: { mode: 'auto' } })).rejects.toMatchObject({
        code: 'BUILDER_REFUSED',
        message: expect.stringMatching(
          /^no mode is known to work in namespace ".*": userns: violates .*; rootless: violates .*; privileged: violates /,
        ),
      });
      expect(place.lines).toEqual([]);
      expect(await own.left()).toEqual([]);
    },
    30_000,
  );

  it('by its quotas names all that is short', async () => {
    const own = await newNamespace();
    const hard = {
      'requests.cpu': '700m',
      'limits.memory': '8Gi',
      pods: '2',
      'count/deployments.apps': '0',
    };
    await own.core.createNamespacedResourceQuota({
      namespace: own.namespace,
      body: { metadata: { name: 'small' }, spec: { hard } },
    });
    const place = new Place(admin, own.namespace);
    await expect(place.start({ driver: { replicas: 3 } })).rejects.toMatchObject({
      code: 'BUILDER_QUOTA',
      message: expect.stringMatching(
        new RegExp(
          [
            '^namespace ".*" has no room for the builder: ',
            ...['0 of 0 count/deployments.apps left, and the builder asks for 1'],
            ...['takes no container without limits.memory, and buildkitd has none'],
            ...['2 of 2 pods left, and the builder asks for 3'],
            '700m of 700m requests.cpu left, and the builder asks for 750m \\(3 pods of 250m\\)$',
          ].join('.*'),
        ),
      ),
    });
    expect(await own.left()).toEqual([]);
  }, 30_000);

  it('by its limits says which', async () => {
    const own = await newNamespace();
    await own.core.createNamespacedLimitRange({
      namespace: own.namespace,
      body: {
        metadata: { name: 'small' },
        spec: {
          limits: [
            { type: 'Container', max: { memory: '1Gi' } },
            { type: 'PersistentVolumeClaim', max: { storage: '1Gi' } },
          ],
        },
      },
    });
    const place = new Place(admin, own.namespace);
    await expect(place.start({ driver: { limits: { memory: '2Gi' } } })).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message: expect.stringMatching(
        /LimitRange "small" allows 1Gi of memory, container buildkitd has 2Gi$/,
      ),
      hint: expect.stringContaining('limits.*'),
    });
    const stateVolume = claim('2Gi');
    await expect(place.start({ driver: { stateVolume } })).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message: expect.stringMatching(/allows 1Gi of storage, its claim has 2Gi$/),
    });
    expect(await own.left()).toEqual([]);
  }, 30_000);

  it('for fields that the cluster would drop names them', async () => {
    const place = new Place(admin, playground.namespace);
    const podTemplate = {
      spec: { priorityClas: 'ci', containers: [{ name: 'buildkitd', envs: [] }] },
    };
    await expect(place.start({ podTemplate })).rejects.toMatchObject({
      code: 'POD_TEMPLATE_INVALID',
      message: expect.stringMatching(/knows no spec\.containers\[0\]\.envs, spec\.priorityClas$/),
    });
  }, 30_000);

  it('for lack of a service account says so', async () => {
    const place = new Place(admin, playground.namespace);
    await expect(place.start({ driver: { serviceAccount: 'nobody' } })).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message: expect.stringMatching(/serviceaccount "nobody" not found$/),
      hint: 'Create that service account, or correct serviceaccount in driver-opts.',
    });
  }, 30_000);
});

describe('mode auto', () => {
  it('is the least privileged mode that works, and builds', async () => {
    const place = new Place(admin, playground.namespace);
    const builder = await place.start({ driver: { mode: 'auto' } });
    expect(place.lines[0]).toBe(
      'Mode userns: the namespace takes it, and its nodes have user namespaces',
    );
    const { namespace, name: builderName } = builder.state;
    const at = { namespace, name: builder.state.workload };
    const { spec } = await playground.apps.readNamespacedDeployment(at);
    expect(spec?.template.spec?.hostUsers).toBe(false);
    await connect(builder);
    expect(place.lines).toContain(`Created builder ${builderName} in namespace ${namespace}`);
    expect(await place.cleanUp(builder)).toBe('removed');
  }, 60_000);
});

describe('the Roles of docs/rbac', () => {
  it('suffice for pools, and to build on them', async () => {
    const [maker, user] = await Promise.all([
      placeWith(await roleOf('provision.yaml')),
      placeWith(await roleOf('use-only.yaml')),
    ]);
    const pool = { name: 'shared', cleanup: false, buildkitdConfigInline: 'debug = true' };
    const made = await maker.start(pool);
    await connect(made);
    const used = await user.start({ name: 'shared', mustExist: true });
    expect([made.created, used.created]).toEqual([true, false]);
    await connect(used);
    expect(used.podName).toBe(made.podName);
    expect(await user.cleanUp(used)).toBe('left');
    // Nobody builds there now, so that it may be changed.
    for (const builder of [made, used]) await builder[Symbol.asyncDispose]();
    const changed = await maker.start({ ...pool, driver: { env: { FOO: 'bar' } } });
    expect(maker.lines.join('\n')).toMatch(/applied:/);
    await connect(changed);
    expect([...maker.lines, ...user.lines].filter((line) => /right|could not/.test(line))).toEqual(
      [],
    );
  }, 60_000);

  it('suffice for claims, and for what sleeps', async () => {
    const maker = await placeWith(await roleOf('provision.yaml'));
    const driver = { stateVolume: claim('1Gi') };
    // Nothing provisions its volume here, so it is only created.
    const stateful = await maker.start({ name: 'stateful', cleanup: false, driver });
    expect([stateful.created, stateful.state.resource]).toEqual([true, 'statefulsets']);
    const kept = { name: 'sleeper', keepState: true };
    const first = await maker.start(kept);
    await connect(first);
    expect(await maker.cleanUp(first)).toBe('stopped');
    const second = await maker.start(kept);
    expect(second.created).toBe(false);
    await connect(second);
    expect(maker.lines.filter((line) => line.includes('right'))).toEqual([]);
  }, 60_000);

  it('to build alone create nothing', async () => {
    const user = await placeWith(await roleOf('use-only.yaml'));
    const failure = await user.start({ name: 'mine' }).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({
      code: 'KUBE_FORBIDDEN',
      message: expect.stringMatching(
        /^user "system:serviceaccount:.*" of context ".*" lacks rights in namespace ".*", if there is such a namespace: create deployments, delete deployments$/,
      ),
    });
    const { role } = failure as { role: string };
    expect(role).toContain(`namespace: ${playground.namespace}`);
  }, 60_000);
});

describe('an exec', () => {
  it('goes by WebSocket where there is only the right to get', async () => {
    const rules = (await roleOf('provision.yaml')).flatMap((rule) =>
      rule.resources.includes('pods/exec')
        ? [{ ...rule, resources: ['pods/exec'], verbs: ['get'] }]
        : [rule],
    );
    const place = await placeWith(rules);
    const builder = await place.start({ connection: 'exec' });
    expect(place.lines[0]).toBe(
      'No right to create pods/exec: the connection goes by WebSocket alone, without SPDY, which is faster.',
    );
    await connect(builder);
    expect(await place.cleanUp(builder)).toBe('removed');
  }, 60_000);
});
