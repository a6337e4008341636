import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { join } from 'node:path';

import { findCluster } from '../../scripts/find-cluster.ts';
import { build } from '../../src/build.ts';
import type { BuildkitConnection } from '../../src/buildkit/connection.ts';
import type { ActionLogger } from '../../src/action/logger.ts';
import { readGitHubContext } from '../../src/action/github-context.ts';
import { type Builder, bootstrap } from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { KubernetesDriverOptions } from '../../src/options/options.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { openConnection } from '../../src/with-builder.ts';
import { Playground } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';
import { ContextFolder } from '../helpers/context-folder.ts';
import { parseOptions } from '../unit/options/parse-inputs.ts';

const cluster = findCluster();
const never = new AbortController().signal;

jest.setTimeout(90_000);

let playground: Playground;
let client: KubeClient;
const open = new AsyncDisposableStack();

beforeAll(async () => {
  playground = open.use(await Playground.create({ cluster }));
  client = open.use(await clientFrom(cluster.kubeconfig));
}, 30_000);

afterAll(async () => {
  await open.disposeAsync();
}, 60_000);

/** A log that can be waited for. */
class Log {
  readonly lines: string[] = [];
  readonly #wanted = new Map<string, () => void>();

  readonly logger: ActionLogger = {
    ...nullLogger,
    info: (text) => {
      this.#add(text);
    },
    warning: (text) => {
      this.#add(text);
    },
    error: () => undefined,
    mask: () => undefined,
  };

  has(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted.set(text, resolve);
      this.#add('');
    });
  }

  #add(text: string): void {
    this.lines.push(text);
    const all = this.lines.join('\n');
    for (const [wanted, tell] of this.#wanted) if (all.includes(wanted)) tell();
  }
}

async function start(log: Log, driver: Partial<KubernetesDriverOptions>): Promise<Builder> {
  const builder = await bootstrap({
    client,
    builder: builderOptions({
      buildkitdConfig: cluster.buildkitdConfig,
      driver: {
        namespace: playground.namespace,
        image: cluster.image ?? 'moby/buildkit:buildx-stable-1',
        timeoutMs: 60_000,
        ...driver,
      },
    }),
    job: testJob({ sha: '' }),
    affinityKey: 'acme/app',
    buildxKey: '/work',
    logger: log.logger,
    signal: never,
    onNamed: () => undefined,
  });
  return open.use(builder);
}

/** A build that runs a step; `failure` is what it ends with. */
async function building(step: string, driver: Partial<KubernetesDriverOptions> = {}) {
  const log = new Log();
  const builder = await start(log, driver);
  const connection: BuildkitConnection = open.use(await builder.connect(openConnection, never));
  const context = open.use(new ContextFolder({ Dockerfile: `FROM busybox\nRUN ${step}\n` }));
  const options = parseOptions({});
  const contextPath = context.path;
  const dockerfilePath = join(contextPath, 'Dockerfile');
  const built = build({
    options: { ...options, build: { ...options.build, contextPath, dockerfilePath } },
    connected: { builder, connection },
    github: readGitHubContext({}),
    logger: log.logger,
    signal: never,
    spentMs: 0,
  });
  const failure = built.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { builder, log, failure, pod: builder.podName ?? '' };
}

const waiting = 'echo started; sleep 300';

describe('a build is told by what its builder was lost', () => {
  it('memory, with the limit and the step', async () => {
    // In no process of the step: the kernel takes the largest there is, which is the daemon.
    const step = '--mount=type=tmpfs,target=/t dd if=/dev/zero of=/t/file bs=1M count=400';
    const { failure, pod } = await building(step, {
      requests: { memory: '256Mi' },
      limits: { memory: '256Mi' },
    });
    expect(await failure).toMatchObject({
      code: 'BUILDER_LOST',
      kind: 'out-of-memory',
      message: expect.stringMatching(
        new RegExp(
          `^buildkitd in pod ${pod} was killed for using more memory than its limit of 256Mi \\(OOMKilled\\).*, while \\[.*2/2\\] RUN --mount=type=tmpfs,.* ran$`,
        ),
      ),
      hint: expect.stringContaining('limits.memory'),
    });
  });

  it('a drain of its node', async () => {
    const { failure, pod, log } = await building(waiting);
    await log.has('started');
    const { namespace } = playground;
    await playground.core.createNamespacedPodEviction({
      name: pod,
      namespace,
      body: { metadata: { name: pod, namespace } },
    });
    expect(await failure).toMatchObject({
      code: 'BUILDER_LOST',
      kind: 'drained',
      message: expect.stringMatching(
        new RegExp(`^pod ${pod} was drained from node .*, while \\[2/2\\] RUN echo started`),
      ),
    });
  });

  it('the end of the builder itself', async () => {
    const { failure, builder, log, pod } = await building(waiting);
    await log.has('started');
    const { namespace, name } = builder.state;
    const { object } = await client.get('jobs', { namespace, name }, never);
    await client.remove('jobs', { namespace, name, uid: object.metadata.uid }, never);
    expect(await failure).toMatchObject({
      code: 'BUILDER_LOST',
      kind: 'expired',
      message: expect.stringContaining(`the builder was removed, and pod ${pod} with it`),
    });
  });
});

describe('a builder that cannot come says why', () => {
  const failureOf = async (driver: Partial<KubernetesDriverOptions>): Promise<unknown> => {
    const log = new Log();
    return start(log, driver)
      .then((builder) => builder.connect(openConnection, never))
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
  };

  it('a storage class that does not exist', async () => {
    const stateVolume = {
      kind: 'claim',
      storage: '1Gi',
      storageClass: 'no-such-class',
      accessMode: 'ReadWriteOnce',
    } as const;
    expect(await failureOf({ stateVolume })).toMatchObject({
      code: 'BUILDER_VOLUME',
      message: expect.stringMatching(/no-such-class/),
      hint: expect.stringContaining('persistent-volume-claim'),
    });
  });

  it('an init container that fails, with its log', async () => {
    // Not the image that installs emulators: it does not know the arguments.
    const qemuImage = cluster.image ?? 'moby/buildkit:buildx-stable-1';
    expect(await failureOf({ qemuImage })).toMatchObject({
      code: 'BUILDER_CRASHED',
      message: expect.stringMatching(
        /^init container qemu ended with exit code 1 in pod .*; its last lines:\n.*--oci-worker/s,
      ),
      hint: expect.stringContaining('qemu'),
    });
  });
});
