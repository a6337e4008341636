import { describe, expect, it } from '@jest/globals';
import { podTemplate } from '../../../../src/kubernetes/manifests/pod-template.ts';
import { namedSpec, type SpecChanges } from '../../../helpers/builder-spec.ts';

const tls = { ca: 'CA', cert: 'CERT', key: 'KEY', clientCert: 'CLIENT', clientKey: 'SECRET' };
const claim = {
  kind: 'claim',
  storage: '5Gi',
  storageClass: undefined,
  accessMode: 'ReadWriteOnce',
} as const;
const toml = (content: string) => ({ path: 'buildkitd.toml', content, secret: false });

const podOf = (changes: SpecChanges) => podTemplate(namedSpec(changes)).spec;
const daemonOf = (changes: SpecChanges) => podOf(changes)?.containers[0];
const argsOf = (changes: SpecChanges) => daemonOf(changes)?.args ?? [];

describe('modes', () => {
  it('userns is privileged in a namespace of its own, with a volume for its state', () => {
    const pod = podOf({ driver: { mode: 'userns' } });
    expect(pod).toMatchObject({
      hostUsers: false,
      containers: [
        {
          securityContext: { privileged: true },
          volumeMounts: [{ name: 'state', mountPath: '/var/lib/buildkit' }],
        },
      ],
    });
    expect(podOf({})).not.toHaveProperty('hostUsers');
  });

  it('rootless has what its image and old and new servers need', () => {
    const { metadata, spec } = podTemplate(namedSpec({ driver: { mode: 'rootless' } }));
    expect(spec?.containers[0]).toMatchObject({
      args: ['--oci-worker-no-process-sandbox'],
      securityContext: {
        runAsUser: 1000,
        runAsGroup: 1000,
        seccompProfile: { type: 'Unconfined' },
        appArmorProfile: { type: 'Unconfined' },
      },
      volumeMounts: [{ name: 'state', mountPath: '/home/user/.local/share/buildkit' }],
    });
    expect(spec?.containers[0]?.securityContext).not.toHaveProperty('privileged');
    expect(metadata?.annotations).toMatchObject({
      'container.apparmor.security.beta.kubernetes.io/buildkitd': 'unconfined',
    });
    expect(spec).not.toHaveProperty('initContainers');
  });

  it('rootless is told where its configuration is', () => {
    const driver = { mode: 'rootless' } as const;
    const files = [toml('debug = true')];
    expect(argsOf({ driver, files })).toContain('--config=/etc/buildkit/buildkitd.toml');
    expect(argsOf({ files })).toEqual([]);
    const buildkitdFlags = ['--config', '/mine.toml'];
    expect(argsOf({ driver, files, builder: { buildkitdFlags } })).toEqual([
      '--oci-worker-no-process-sandbox',
      ...buildkitdFlags,
    ]);
  });

  it('rootless is given the volume of its claim, by the least that can', () => {
    const driver = { mode: 'rootless', stateVolume: claim } as const;
    expect(podOf({ driver })?.initContainers).toMatchObject([
      {
        command: ['chown', '1000:1000', '/home/user/.local/share/buildkit'],
        securityContext: { runAsUser: 0, capabilities: { drop: ['ALL'], add: ['CHOWN'] } },
        volumeMounts: [{ name: 'state', mountPath: '/home/user/.local/share/buildkit' }],
      },
    ]);
    expect(podOf({ driver: { stateVolume: claim } })).not.toHaveProperty('initContainers');
  });
});

describe('flags', () => {
  it('come last where they are the user’s', () => {
    const builder = { buildkitdFlags: ['--debug'], entitlements: ['network.host'] };
    expect(argsOf({ builder, driver: { mode: 'rootless' } })).toEqual([
      '--oci-worker-no-process-sandbox',
      '--debug',
      '--allow-insecure-entitlement=network.host',
    ]);
  });

  it('are not repeated where the user has them', () => {
    const buildkitdFlags = ['--oci-worker-no-process-sandbox=false'];
    expect(argsOf({ builder: { buildkitdFlags }, driver: { mode: 'rootless' } })).toEqual(
      buildkitdFlags,
    );
  });

  it.each([
    ['privileged', 'unix:///run/buildkit/buildkitd.sock'],
    ['rootless', 'unix:///run/user/1000/buildkit/buildkitd.sock'],
  ] as const)('of a %s daemon with another address keep its socket', (mode, socket) => {
    const buildkitdFlags = ['--addr', 'tcp://127.0.0.1:1'];
    expect(argsOf({ builder: { buildkitdFlags }, driver: { mode } })).toContain(`--addr=${socket}`);
  });
});

describe('TLS', () => {
  it('is demanded on the port, and the socket stays', () => {
    expect(argsOf({ tls })).toEqual([
      '--addr=unix:///run/buildkit/buildkitd.sock',
      '--addr=tcp://0.0.0.0:1234',
      '--tlscacert=/etc/buildkitd-tls/ca.crt',
      '--tlscert=/etc/buildkitd-tls/tls.crt',
      '--tlskey=/etc/buildkitd-tls/tls.key',
    ]);
    expect(argsOf({ tls, driver: { mode: 'rootless' } })).toContain(
      '--addr=unix:///run/user/1000/buildkit/buildkitd.sock',
    );
  });

  it('leaves the key of the client out of the pod', () => {
    const pod = podOf({ tls });
    expect(pod?.volumes?.find(({ name }) => name === 'tls')).toEqual({
      name: 'tls',
      secret: {
        secretName: 'kbx-a-linux-arm64-v8-tls',
        items: ['ca.crt', 'tls.crt', 'tls.key'].map((key) => ({ key, path: key })),
      },
    });
    expect(JSON.stringify(pod)).not.toMatch(/client|SECRET/);
  });
});

describe('garbage collection', () => {
  const limits = { 'ephemeral-storage': '10Gi' };
  const memory = { kind: 'memory', sizeLimit: '1Gi' } as const;

  it.each([
    ['a claim', { stateVolume: claim }, 4026],
    ['a memory volume', { stateVolume: memory }, 805],
    ['the limit of the pod', { limits }, 8053],
    ['a claim rather than the limit of the pod', { limits, stateVolume: claim }, 4026],
    ['a tiny volume, not without a cap', { limits: { 'ephemeral-storage': '1' } }, 1],
  ])('keeps three quarters of %s', (_what, driver, megabytes) => {
    expect(argsOf({ driver })).toEqual([`--oci-worker-gc-keepstorage=${megabytes}`]);
  });

  it.each([
    ['no size is known', {}],
    ['flags say', { builder: { buildkitdFlags: ['--oci-worker-gc=false'] } }],
    ['one-dashed flags say', { builder: { buildkitdFlags: ['-oci-worker-gc-keepstorage', '9'] } }],
    ['the configuration turns it off', { files: [toml('[worker.oci]\ngc = false')] }],
    ['the configuration has a size', { files: [toml('[worker.oci]\nreservedSpace = "1GB"')] }],
    ['in any letter case', { files: [toml('[worker.oci]\nmaxusedspace = "1GB"')] }],
    ['by its old name', { files: [toml('[worker.oci]\ngckeepstorage = 9')] }],
    ['it has policies', { files: [toml('[[worker.oci.gcpolicy]]\nall = true')] }],
  ] as const)('is left alone where %s', (what, changes) => {
    const driver = what === 'no size is known' ? {} : { limits };
    expect(argsOf({ driver, ...changes }).join(' ')).not.toContain('gc-keepstorage=8053');
  });

  it('is set beside configuration of other things', () => {
    const files = [toml('[worker.oci]\nmax-parallelism = 2\n[worker.containerd]\ngc = false')];
    expect(argsOf({ driver: { limits }, files })).toEqual(['--oci-worker-gc-keepstorage=8053']);
  });
});

describe('what driver options add', () => {
  it('is nothing where they are not used', () => {
    expect(podOf({})).toEqual({
      nodeSelector: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'arm64' },
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      containers: [
        {
          name: 'buildkitd',
          image: 'moby/buildkit:buildx-stable-1',
          securityContext: { privileged: true },
          resources: { requests: { cpu: '250m', memory: '512Mi' }, limits: {} },
          readinessProbe: expect.anything() as unknown,
          volumeMounts: [{ name: 'state', mountPath: '/var/lib/buildkit' }],
        },
      ],
      volumes: [{ name: 'state', emptyDir: {} }],
    });
  });

  it('keeps requests requests', () => {
    const requests = { 'ephemeral-storage': '1Gi' };
    expect(daemonOf({ driver: { requests } })?.resources).toEqual({ requests, limits: {} });
  });

  it('orders the environment', () => {
    const one = daemonOf({ driver: { env: { B: '2', A: '1' } } })?.env;
    expect(one).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ]);
  });

  it('installs emulators with what the daemon may use, and only by request', () => {
    const driver = {
      qemuImage: 'binfmt:1',
      limits: { memory: '1Gi' },
      imagePullPolicy: 'Always',
    } as const;
    expect(podOf({ driver })?.initContainers).toEqual([
      {
        name: 'qemu',
        image: 'binfmt:1',
        imagePullPolicy: 'Always',
        args: ['--install', 'all'],
        securityContext: { privileged: true },
        resources: { requests: { cpu: '250m', memory: '512Mi' }, limits: { memory: '1Gi' } },
      },
    ]);
  });

  it('leaves a service account that was asked for as it is', () => {
    const pod = podOf({ driver: { serviceAccount: 'builder' } });
    expect(pod?.serviceAccountName).toBe('builder');
    expect(pod).not.toHaveProperty('automountServiceAccountToken');
  });

  it('chooses nodes before the platform does', () => {
    const nodeSelector = { 'kubernetes.io/arch': 'amd64', disk: 'nvme' };
    expect(podOf({ driver: { nodeSelector } })?.nodeSelector).toEqual({
      'kubernetes.io/os': 'linux',
      ...nodeSelector,
    });
    const pod = podOf({ driver: { nodeSelector, replicas: 2 }, builder: { platforms: [] } });
    expect(pod).not.toHaveProperty('affinity');
    expect(pod?.topologySpreadConstraints).toHaveLength(1);
  });

  it.each([
    [undefined, {}, 1],
    [undefined, { name: 'pool' }, 600],
    [0, { name: 'pool' }, 1],
    [1_500, {}, 2],
  ])('drains for %j ms with %j in %d s', (drainTimeoutMs, builder, seconds) => {
    const pod = podOf({ driver: { drainTimeoutMs }, builder });
    expect(pod?.terminationGracePeriodSeconds).toBe(seconds);
  });
});

describe('pods of a shared builder', () => {
  it('are the same whoever asks, and however many there are', () => {
    const builder = { name: 'pool', cleanup: false };
    const one = podTemplate(namedSpec({ builder }));
    const job = { jobId: 'other', runId: '7', sha: 'f', version: '2' };
    expect(podTemplate(namedSpec({ builder, job, driver: { replicas: 4 } }))).toEqual(one);
    expect(one.metadata).toEqual({
      labels: {
        'app.kubernetes.io/managed-by': 'kube-buildx-action',
        'app.kubernetes.io/instance': 'pool',
        'app.kubernetes.io/component': 'linux-arm64-v8',
      },
      annotations: {
        'kube-buildx-action/spec-hash': 'ff',
        'buildx.docker.com/platform': 'linux/arm64/v8',
      },
    });
  });
});
