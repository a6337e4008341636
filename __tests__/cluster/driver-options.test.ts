import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { V1Deployment, V1PodSpec, V1StatefulSet } from '@kubernetes/client-node';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { findCluster } from '../../scripts/find-cluster.ts';
import { type BuilderSpec, builderSpec } from '../../src/kubernetes/builder-spec.ts';
import type { DaemonFile } from '../../src/kubernetes/daemon-files.ts';
import { workloadResource } from '../../src/kubernetes/existing-builder.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { redactedTls, renderManifests } from '../../src/kubernetes/manifests/render.ts';
import { workload } from '../../src/kubernetes/manifests/workload.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { provision } from '../../src/kubernetes/provision.ts';
import { driverOptionNames } from '../../src/options/driver-option-names.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { Playground } from '../helpers/action-on-cluster.ts';
import { clientFrom } from '../helpers/builder-options.ts';
import { HostPathVolumes } from '../helpers/host-path-volumes.ts';
import { parseOptions } from '../unit/options/parse-inputs.ts';

const cluster = findCluster();
const never = new AbortController().signal;
const maxLifetimeMs = 3_600_000;
const kubectl = cluster.bin === undefined ? 'kubectl' : join(cluster.bin, 'kubectl');

let playground: Playground;
let client: KubeClient;

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  client = await clientFrom(cluster.kubeconfig);
}, 30_000);

afterAll(async () => {
  client[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
}, 30_000);

interface Asked {
  /** Lines of `driver-opts`. */
  readonly options?: readonly string[];
  readonly inputs?: Readonly<Record<string, string>>;
  readonly files?: readonly DaemonFile[];
  readonly namespace?: string;
}

/** What the inputs of a workflow come to. */
function specFor({ options = [], inputs = {}, files = [], namespace }: Asked): BuilderSpec {
  const raw = { 'driver-opts': options.join('\n'), platforms: 'linux/amd64', ...inputs };
  const { builder } = parseOptions(raw);
  const { mode } = builder.driver;
  return builderSpec({
    builder,
    files,
    job: {
      jobId: 'job',
      runId: '1',
      repository: 'acme/app',
      sha: 'abc',
      runUrl: '',
      runAttempt: '1',
      version: 'test',
    },
    namespace: namespace ?? playground.namespace,
    mode: mode === 'auto' ? 'privileged' : mode,
  });
}

/** The workload as the API server would keep it. */
async function liveOf(asked: Asked): Promise<V1Deployment & V1StatefulSet> {
  const spec = specFor(asked);
  const { namespace } = spec;
  const manifest = workload(spec, undefined);
  const resource = workloadResource(spec);
  const { object } = await client.create(resource, { namespace, manifest, dryRun: true }, never);
  return object as unknown as V1Deployment & V1StatefulSet;
}

interface Live {
  readonly object: V1Deployment & V1StatefulSet;
  readonly pod: V1PodSpec;
  readonly daemon: V1PodSpec['containers'][number] | undefined;
}

type Row = readonly [
  option: string,
  lines: readonly string[],
  read: (live: Live) => unknown,
  expected: unknown,
];

const claim = ['persistent-volume-claim.requests.storage=5Gi'];
const state = ({ pod }: Live): unknown => pod.volumes?.find(({ name }) => name === 'state');
const claimOf = ({ object }: Live): unknown => object.spec?.volumeClaimTemplates?.[0]?.spec;

const rows: readonly Row[] = [
  [
    'image',
    ['image=example.com/buildkit:1'],
    ({ daemon }) => daemon?.image,
    'example.com/buildkit:1',
  ],
  [
    'image-pull-policy',
    ['image-pull-policy=Never'],
    ({ daemon }) => daemon?.imagePullPolicy,
    'Never',
  ],
  [
    'image-pull-secrets',
    ['"image-pull-secrets=a,b"'],
    ({ pod }) => pod.imagePullSecrets,
    [{ name: 'a' }, { name: 'b' }],
  ],
  ['replicas', ['replicas=3'], ({ object }) => object.spec?.replicas, 3],
  ['requests.cpu', ['requests.cpu=1'], ({ daemon }) => daemon?.resources?.requests, { cpu: '1' }],
  [
    'requests.memory',
    ['requests.memory=1Gi'],
    ({ daemon }) => daemon?.resources?.requests,
    { memory: '1Gi' },
  ],
  // Of the peer this one is a limit.
  [
    'requests.ephemeral-storage',
    ['requests.ephemeral-storage=2Gi'],
    ({ daemon }) => daemon?.resources?.requests,
    { 'ephemeral-storage': '2Gi' },
  ],
  [
    'requests.ephemeral-storage',
    ['requests.ephemeral-storage=2Gi'],
    ({ daemon }) => daemon?.resources?.limits ?? {},
    {},
  ],
  ['limits.cpu', ['limits.cpu=2'], ({ daemon }) => daemon?.resources?.limits, { cpu: '2' }],
  [
    'limits.memory',
    ['limits.memory=2Gi'],
    ({ daemon }) => daemon?.resources?.limits,
    { memory: '2Gi' },
  ],
  [
    'limits.ephemeral-storage',
    ['limits.ephemeral-storage=9Gi'],
    ({ daemon }) => daemon?.resources?.limits,
    { 'ephemeral-storage': '9Gi' },
  ],
  [
    'limits.ephemeral-storage',
    ['limits.ephemeral-storage=10G'],
    ({ daemon }) => daemon?.args,
    ['--oci-worker-gc-keepstorage=7500'],
  ],
  [
    'persistent-volume-claim.requests.storage',
    claim,
    claimOf,
    { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
  ],
  [
    'persistent-volume-claim.storage-class',
    [...claim, 'persistent-volume-claim.storage-class=fast'],
    claimOf,
    { storageClassName: 'fast' },
  ],
  [
    'persistent-volume-claim.access-mode',
    [...claim, 'persistent-volume-claim.access-mode=ReadWriteOncePod'],
    claimOf,
    { accessModes: ['ReadWriteOncePod'] },
  ],
  [
    'buildkit-root-volume-memory',
    ['buildkit-root-volume-memory=1Gi'],
    state,
    { emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } },
  ],
  [
    'nodeselector',
    ['nodeselector=disk=nvme'],
    ({ pod }) => pod.nodeSelector,
    { disk: 'nvme', 'kubernetes.io/arch': 'amd64' },
  ],
  [
    'tolerations',
    ['"tolerations=key=ci,operator=Exists,effect=NoSchedule"'],
    ({ pod }) => pod.tolerations,
    [{ key: 'ci', operator: 'Exists', effect: 'NoSchedule' }],
  ],
  ['serviceaccount', ['serviceaccount=builder'], ({ pod }) => pod.serviceAccountName, 'builder'],
  ['schedulername', ['schedulername=mine'], ({ pod }) => pod.schedulerName, 'mine'],
  ['annotations', ['annotations=a=b'], ({ object }) => object.metadata?.annotations, { a: 'b' }],
  [
    'annotations',
    ['annotation=a=b'],
    ({ object }) => object.spec?.template.metadata?.annotations,
    { a: 'b' },
  ],
  ['labels', ['labels=team=a'], ({ object }) => object.metadata?.labels, { team: 'a' }],
  [
    'labels',
    ['labels=team=a'],
    ({ object }) => object.spec?.template.metadata?.labels,
    { team: 'a' },
  ],
  [
    'env',
    ['env.HTTPS_PROXY=http://p:1/?a=b'],
    ({ daemon }) => daemon?.env,
    [{ name: 'HTTPS_PROXY', value: 'http://p:1/?a=b' }],
  ],
  [
    'qemu.install',
    ['qemu.install=true'],
    ({ pod }) => pod.initContainers,
    [{ name: 'qemu', args: ['--install', 'all'], securityContext: { privileged: true } }],
  ],
  [
    'qemu.image',
    ['qemu.install=true', 'qemu.image=binfmt:1'],
    ({ pod }) => pod.initContainers,
    [{ image: 'binfmt:1' }],
  ],
  ['mode', ['mode=userns'], ({ pod }) => pod.hostUsers, false],
  ['mode', ['mode=privileged'], ({ daemon }) => daemon?.securityContext, { privileged: true }],
  [
    'rootless',
    ['rootless=true'],
    ({ daemon }) => daemon?.securityContext,
    {
      runAsUser: 1000,
      seccompProfile: { type: 'Unconfined' },
      appArmorProfile: { type: 'Unconfined' },
    },
  ],
  [
    'rootless',
    ['rootless=true'],
    ({ daemon }) => daemon?.image,
    'moby/buildkit:buildx-stable-1-rootless',
  ],
  ['drain-timeout', ['drain-timeout=90s'], ({ pod }) => pod.terminationGracePeriodSeconds, 90],
];

/** What these choose is done here rather than in the cluster, or is where the objects are. */
const withoutTrace = ['default-load', 'loadbalance', 'namespace', 'timeout'];

describe('a driver option lands in the live object', () => {
  it.each(rows)('%s, by %j', async (_option, options, read, expected) => {
    const object = await liveOf({ options });
    const pod: V1PodSpec = object.spec?.template.spec ?? { containers: [] };
    const [daemon] = pod.containers;
    const found = read({ object, pod, daemon });
    expect({ found }).toMatchObject({ found: expected });
  });

  it('each of them', () => {
    const tested = new Set([...rows.map(([option]) => option), ...withoutTrace]);
    expect([...tested].sort()).toEqual([...driverOptionNames]);
  });

  it('or is told to have a place there that it cannot have', async () => {
    const labels = { ['x'.repeat(64)]: 'y' };
    const spec = specFor({});
    const manifest = workload({ ...spec, driver: { ...spec.driver, labels } }, undefined);
    const { namespace } = spec;
    await expect(
      client.create('deployments', { namespace, manifest, dryRun: true }, never),
    ).rejects.toMatchObject({ httpStatus: 422 });
  });
});

describe('a pod template', () => {
  it('is merged into the live pods', async () => {
    const template = {
      spec: {
        priorityClassName: 'high',
        containers: [{ name: 'buildkitd', env: [{ name: 'A', value: 'b' }] }],
      },
    };
    const object = await liveOf({ inputs: { 'pod-template': JSON.stringify(template) } });
    expect(object.spec?.template.spec).toMatchObject({
      priorityClassName: 'high',
      containers: [
        {
          name: 'buildkitd',
          env: [{ name: 'A', value: 'b' }],
          volumeMounts: [{ mountPath: '/var/lib/buildkit' }],
        },
      ],
    });
  });
});

const run = promisify(execFile);

async function kube(args: readonly string[], input?: string): Promise<string> {
  const running = run(kubectl, ['--kubeconfig', cluster.kubeconfig, ...args]);
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** What has no right to differ between objects of the same manifest. */
function comparable(object: unknown, { uids, namespace }: { uids: string[]; namespace: string }) {
  const text = uids.reduce(
    (rest, uid) => rest.replaceAll(uid, 'UID'),
    JSON.stringify(object).replaceAll(namespace, 'NAMESPACE'),
  );
  const ofTheServer = [
    'uid',
    'resourceVersion',
    'creationTimestamp',
    'generation',
    'managedFields',
  ];
  // The owner's end is moved all the time; who creates an object by hand gives it its whole life.
  const left = new Set([...ofTheServer, 'ownerReferences', 'status', 'activeDeadlineSeconds']);
  return JSON.parse(text, (key, value: unknown) => {
    if (left.has(key) || key.startsWith('kubectl.kubernetes.io/')) return undefined;
    if (key.startsWith('deployment.kubernetes.io/')) return undefined;
    return value;
  }) as unknown;
}

interface ListedObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly data?: Record<string, string>;
}

/** All that a namespace has of ours, without what differs from one making to the next. */
async function objectsIn(namespace: string): Promise<unknown[]> {
  const kinds = 'job,configmap,secret,deployment,statefulset,poddisruptionbudget';
  const selector = 'app.kubernetes.io/managed-by=kube-buildx-action';
  const text = await kube(['get', kinds, '-n', namespace, '-l', selector, '-o', 'json']);
  const { items } = JSON.parse(text) as { items: ListedObject[] };
  const uids = items.map(({ metadata }) => metadata.uid);
  return items
    .map((item) => {
      if (item.kind !== 'Secret') return item;
      return { ...item, data: Object.keys(item.data ?? {}) };
    })
    .map((item) => comparable(item, { uids, namespace }));
}

describe('what is rendered', () => {
  it('makes the same objects when kubectl applies it', async () => {
    await using other = await Playground.create({ cluster });
    const files = [
      { path: 'buildkitd.toml', content: 'debug = false\n# ü "quoted": yes\n', secret: false },
      { path: 'certs/host/key.pem', content: 'PRIVATE', secret: true },
    ];
    const options = ['nodeselector=no-such=node', 'env.OFF=no', 'annotations=number=1e3'];
    const asked: readonly Asked[] = [
      { options, files },
      { options: [...options, ...claim], files, inputs: { name: 'pool', cleanup: 'false' } },
    ];
    // The same random values, as of one run.
    const specs = asked.map((each) => ({
      ...specFor({ ...each, namespace: 'NAMESPACE' }),
      tls: redactedTls,
    }));
    const within = (namespace: string) => specs.map((spec) => ({ ...spec, namespace }));
    const notices = new Notices(nullLogger);
    for (const spec of within(playground.namespace)) {
      await provision(
        { client, spec, maxLifetimeMs, may: () => true, notices, runnerPod: undefined },
        never,
      );
    }
    const text = await renderManifests(within(other.namespace), { maxLifetimeMs });
    await kube(['apply', '-f', '-'], text);
    const applied = await objectsIn(other.namespace);
    expect(applied).toEqual(await objectsIn(playground.namespace));
    expect(applied.length).toBe(11);
    expect(text).not.toContain('PRIVATE');
  }, 30_000);
});

/** Builds and pushes a small image with the daemon of a pod, and says how the daemon cleans up. */
const trial = (image: string): string => `
set -e
cd "\${TMPDIR:-/tmp}"
echo "FROM busybox" >Dockerfile
echo "RUN mkdir /made && stat -c 'folder %a' /made && cat /proc/self/uid_map" >>Dockerfile
buildctl build --progress plain --frontend dockerfile.v0 --local context=. --local dockerfile=. \\
  --output type=image,name=${image},push=true 2>&1
buildctl debug workers -v`;

async function untilItRuns(namespace: string, pod: string, script: string): Promise<string> {
  const exec = ['exec', '-n', namespace, pod, '-c', 'buildkitd', '--', 'sh', '-c'];
  for (let attempt = 0; ; attempt += 1) {
    try {
      await kube([...exec, 'buildctl debug workers']);
      break;
    } catch (failure) {
      if (attempt > 100) throw failure;
      await sleep(200);
    }
  }
  return kube([...exec, script]).catch((failure: unknown) => {
    throw new Error((failure as { stdout: string }).stdout, { cause: failure });
  });
}

describe('daemons that build', () => {
  let volumes: HostPathVolumes;

  beforeAll(async () => {
    volumes = await HostPathVolumes.create(cluster.kubeconfig, 2);
  });

  afterAll(async () => {
    await volumes[Symbol.asyncDispose]();
  });

  const claimed = () => [
    'persistent-volume-claim.requests.storage=1Gi',
    `persistent-volume-claim.storage-class=${volumes.storageClass}`,
  ];

  it.each([
    // What the log of a step says of its ids, and how much the daemon keeps.
    [
      'privileged on a claim',
      () => ['mode=privileged', ...claimed()],
      /^\S+ \S+ +0 +0 4294967295$/m,
      '805MB',
    ],
    [
      'rootless on a claim',
      () => ['mode=rootless', ...claimed()],
      /^\S+ \S+ +0 +1000 +1$/m,
      '805MB',
    ],
    [
      'userns in memory',
      () => ['mode=userns', 'buildkit-root-volume-memory=400Mi'],
      /^\S+ \S+ +0 +[1-9]\d+ +65536$/m,
      '314MB',
    ],
  ])(
    '%s, as they were configured',
    async (_what, options, ids, kept) => {
      const [mode] = options();
      const image = mode === 'mode=rootless' ? cluster.rootlessImage : cluster.image;
      const toml = cluster.buildkitdConfig;
      const spec = specFor({
        options: [
          ...options(),
          ...(image === undefined ? [] : [`image=${image}`]),
          'requests.cpu=10m',
        ],
        inputs: { name: `b-${randomBytes(3).toString('hex')}` },
        files:
          toml === undefined
            ? []
            : [{ path: 'buildkitd.toml', content: readFileSync(toml, 'utf8'), secret: false }],
      });
      const { namespace, workload: name } = spec;
      const notices = new Notices(nullLogger);
      await provision(
        { client, spec, maxLifetimeMs, may: () => true, notices, runnerPod: undefined },
        never,
      );
      const kind = workloadResource(spec) === 'deployments' ? 'deployment' : 'statefulset';
      const target = kind === 'deployment' ? `deployment/${name}` : `pod/${name}-0`;
      const said = await untilItRuns(
        namespace,
        target,
        trial(`${cluster.registry}/kbx-test/${spec.name}`),
      );
      expect(said).toMatch(ids);
      // What a setgid bit on the volume would leave in images.
      expect(said).toMatch(/folder 755$/m);
      expect(said).toContain('pushing manifest');
      expect(said).toMatch(/snapshotter:\s+overlayfs/);
      expect(said).toMatch(new RegExp(`All:\\s+true\\s+Reserved space:\\s+${kept}`));
    },
    60_000,
  );

  it('leave no claim behind', async () => {
    const claims = async () => {
      const text = await kube(['get', 'pvc', '-n', playground.namespace, '-o', 'name']);
      return text.split('\n').filter((line) => line.includes('state-b-'));
    };
    expect(await claims()).toHaveLength(2);
    await kube(['delete', 'job', '-n', playground.namespace, '--all', '--cascade=background']);
    let left = await claims();
    for (let attempt = 0; attempt < 150 && left.length > 0; attempt += 1) {
      await sleep(200);
      left = await claims();
    }
    expect(left).toEqual([]);
  }, 60_000);
});
