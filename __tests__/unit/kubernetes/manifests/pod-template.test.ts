import { describe, expect, it } from '@jest/globals';
import type { V1Container } from '@kubernetes/client-node';
import type { BuilderSpec } from '../../../../src/kubernetes/builder-spec.ts';
import { KubernetesError } from '../../../../src/kubernetes/errors.ts';
import { podTemplate } from '../../../../src/kubernetes/manifests/pod-template.ts';
import { namedSpec } from '../../../helpers/builder-spec.ts';

const tls = { ca: 'a', cert: 'b', key: 'c', clientCert: 'd', clientKey: 'e' };
const files = [{ path: 'buildkitd.toml', content: '', secret: false }];
const base = namedSpec({ files, tls });

const merged = (template: Record<string, unknown>, spec: BuilderSpec = base) =>
  podTemplate({ ...spec, podTemplate: template });

/** The fields that are refused, each as the error tells it. */
function refused(template: Record<string, unknown>, spec: BuilderSpec = base): string[] {
  try {
    merged(template, spec);
  } catch (thrown) {
    if (!(thrown instanceof KubernetesError)) throw thrown;
    expect(thrown.code).toBe('POD_TEMPLATE_INVALID');
    return thrown.message.replace('pod-template: ', '').split('; ');
  }
  return [];
}

const daemon = (changes: Record<string, unknown>) => ({
  spec: { containers: [{ name: 'buildkitd', ...changes }] },
});

describe('what a pod template may do', () => {
  it('adds to the pod and to our container', () => {
    const template = merged({
      metadata: { labels: { team: 'a' }, annotations: { note: 'b' } },
      spec: {
        priorityClassName: 'high',
        containers: [
          {
            name: 'buildkitd',
            env: [{ name: 'X', value: '1' }],
            volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
            readinessProbe: { periodSeconds: 5 },
          },
          { name: 'mesh', image: 'mesh:1' },
        ],
        volumes: [{ name: 'cache', emptyDir: {} }],
      },
    });
    expect(template.metadata?.labels).toMatchObject({
      team: 'a',
      'app.kubernetes.io/instance': 'kbx-a',
    });
    expect(template.metadata?.annotations).toMatchObject({ note: 'b' });
    const { containers = [], volumes = [], priorityClassName } = template.spec ?? {};
    const [first, second] = containers as [V1Container, V1Container];
    expect(priorityClassName).toBe('high');
    expect(second).toEqual({ name: 'mesh', image: 'mesh:1' });
    expect(first).toMatchObject({
      env: [{ name: 'X', value: '1' }],
      readinessProbe: { periodSeconds: 5, exec: { command: ['buildctl', 'debug', 'workers'] } },
    });
    expect(first.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual([
      '/var/lib/buildkit',
      '/etc/buildkit',
      '/etc/buildkitd-tls',
      '/cache',
    ]);
    expect(volumes.map(({ name }) => name)).toEqual(['state', 'config', 'tls', 'cache']);
  });

  it('takes a whole manifest of a pod', () => {
    const template = merged({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x', creationTimestamp: null, labels: { a: 'b' } },
      spec: { hostNetwork: true },
    });
    expect(template.metadata).not.toHaveProperty('name');
    expect(template.metadata?.labels).toMatchObject({ a: 'b' });
    expect(template.spec?.hostNetwork).toBe(true);
  });

  it('puts the state on another kind of volume', () => {
    const volumes = [{ name: 'state', hostPath: { path: '/nvme' } }];
    expect(merged({ spec: { volumes } }).spec?.volumes?.[0]).toEqual(volumes[0]);
  });

  it('lets autoscalers move the pod of a job', () => {
    const key = 'cluster-autoscaler.kubernetes.io/safe-to-evict';
    const { metadata } = merged({ metadata: { annotations: { [key]: 'true' } } });
    expect(metadata?.annotations?.[key]).toBe('true');
  });

  it('changes our own labels of the options', () => {
    const labels = { team: 'a' };
    const spec = namedSpec({ driver: { labels } });
    expect(merged({ metadata: { labels: { team: 'b' } } }, spec).metadata?.labels?.team).toBe('b');
  });
});

describe('what it may not do', () => {
  const path = 'spec.containers[buildkitd]';

  it.each([
    ['remove our container', { name: 'buildkitd', $patch: 'delete' }],
    ['remove all containers', { $patch: 'replace' }],
  ])('%s', (_what, item) => {
    expect(refused({ spec: { containers: [item] } })).toEqual([
      `${path} is the builder itself and cannot be removed`,
    ]);
  });

  it.each(['command', 'args'])('change its %s', (field) => {
    expect(refused(daemon({ [field]: ['--debug'] }))).toEqual([
      `${path}.${field} starts buildkitd, whose flags buildkitd-flags sets`,
    ]);
  });

  it.each(['/var/lib/buildkit', '/etc/buildkit', '/etc/buildkitd-tls'])(
    'unmount %s',
    (mountPath) => {
      expect(refused(daemon({ volumeMounts: [{ mountPath, $patch: 'delete' }] }))).toEqual([
        `${path}.volumeMounts[${mountPath}] is the builder's own`,
      ]);
      expect(refused(daemon({ volumeMounts: [{ mountPath, name: 'other' }] }))).toHaveLength(1);
    },
  );

  it('mount over ours by another spelling', () => {
    const mounts = [{ mountPath: '/var/lib//buildkit/', name: 'other' }];
    expect(refused(daemon({ volumeMounts: mounts }))).toEqual([
      `${path}.volumeMounts[/var/lib//buildkit/] covers the builder's own`,
    ]);
  });

  it.each(['config', 'tls'])('put something else into the volume %s', (name) => {
    expect(refused({ spec: { volumes: [{ name, emptyDir: {} }] } })).toEqual([
      `spec.volumes[${name}] is the builder's own`,
    ]);
  });

  it('remove the volume of the state, or put one in the place of a claim', () => {
    expect(refused({ spec: { volumes: [{ name: 'state', $patch: 'delete' }] } })).toEqual([
      "spec.volumes[state] is the builder's own",
    ]);
    const stateVolume = {
      kind: 'claim',
      storage: '1Gi',
      storageClass: undefined,
      accessMode: 'ReadWriteOnce',
    } as const;
    const volumes = [{ name: 'state', emptyDir: {} }];
    expect(refused({ spec: { volumes } }, namedSpec({ driver: { stateVolume } }))).toEqual([
      "spec.volumes[state] is the builder's own",
    ]);
  });

  it('change how the pod is recognised', () => {
    const labels = { 'app.kubernetes.io/instance': 'x', 'kube-buildx-action/run-id': null };
    const annotations = { 'buildx.docker.com/platform': 'linux/s390x' };
    expect(refused({ metadata: { labels, annotations } })).toEqual([
      'metadata.labels.app.kubernetes.io/instance is how the builder is recognised',
      'metadata.labels.kube-buildx-action/run-id is how the builder is recognised',
      'metadata.annotations.buildx.docker.com/platform is how the builder is recognised',
    ]);
    expect(refused({ metadata: { $patch: 'delete' } }).length).toBeGreaterThan(5);
  });

  it('stop the pod from being started again', () => {
    expect(refused({ spec: { restartPolicy: 'Never' } })).toEqual([
      'spec.restartPolicy can only be Always in a workload',
    ]);
    expect(refused({ spec: { restartPolicy: 'Always' } })).toEqual([]);
  });

  it('be of another form', () => {
    expect(refused({ containers: [], metadata: { namespace: 'x' } })).toEqual([
      'containers is neither metadata nor spec',
      'metadata.namespace cannot be set on the pods of a workload',
    ]);
    expect(refused({ metadata: 'x', spec: [] })).toEqual([
      'metadata must be a map',
      'spec must be a map',
    ]);
  });

  it('do several of these without being told of all at once', () => {
    const template = daemon({ command: ['sh'], args: [], volumeMounts: [{ $patch: 'replace' }] });
    expect(
      refused({
        metadata: { labels: { 'app.kubernetes.io/managed-by': 'me' } },
        spec: { ...template.spec, restartPolicy: 'OnFailure' },
      }),
    ).toHaveLength(7);
  });
});

describe('a template that takes everything away', () => {
  it('is refused rather than crashing', () => {
    expect(refused({ spec: { $patch: 'delete' } }).length).toBeGreaterThan(0);
    expect(refused({ spec: null }).length).toBeGreaterThan(0);
    expect(refused({ spec: { containers: null } }).length).toBeGreaterThan(0);
  });
});
