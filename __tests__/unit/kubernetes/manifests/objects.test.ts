import { describe, expect, it } from '@jest/globals';
import type { BuilderSpec } from '../../../../src/kubernetes/builder-spec.ts';
import { configMap, secret } from '../../../../src/kubernetes/manifests/configuration.ts';
import { deployment } from '../../../../src/kubernetes/manifests/deployment.ts';
import { belongsTo, builderSelector } from '../../../../src/kubernetes/manifests/labels.ts';
import { ownerJob } from '../../../../src/kubernetes/manifests/owner-job.ts';
import type { KubernetesDriverOptions } from '../../../../src/options/options.ts';
import { namedSpec } from '../../../helpers/builder-spec.ts';

const spec = namedSpec();
const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'kbx-a', uid: 'u' };
const podOf = (changes: Partial<BuilderSpec>) =>
  deployment({ ...spec, ...changes }, owner).spec?.template.spec;
const podAsked = (driver: Partial<KubernetesDriverOptions>) =>
  deployment(namedSpec({ driver }), owner).spec?.template.spec;
const file = (path: string, secretFile = false) => ({
  path,
  content: `of ${path}`,
  secret: secretFile,
});

describe('labels, annotations and owners', () => {
  it('are as documented, on every object and on the pods', () => {
    const labels = {
      'app.kubernetes.io/managed-by': 'kube-buildx-action',
      'app.kubernetes.io/instance': 'kbx-a',
      'app.kubernetes.io/component': 'linux-arm64-v8',
      'kube-buildx-action/run-id': '42',
      'kube-buildx-action/job-id': 'j1',
    };
    const annotations = {
      'kube-buildx-action/repository': 'acme/app',
      'kube-buildx-action/sha': 'abc',
      'kube-buildx-action/run-url': 'https://github.example/run/42',
      'kube-buildx-action/run-attempt': '2',
      'kube-buildx-action/version': '1.0.0',
      'kube-buildx-action/spec-hash': 'ff',
      'kube-buildx-action/creator': 'me',
      'buildx.docker.com/platform': 'linux/arm64/v8',
    };
    const files = [file('buildkitd.toml'), file('certs/h/key.pem', true)];
    const withFiles = { ...spec, files };
    const objects = [
      deployment(withFiles, owner),
      configMap(withFiles, owner),
      secret(withFiles, owner),
    ];
    for (const object of objects) {
      expect(object?.metadata).toEqual({
        name: 'kbx-a-linux-arm64-v8',
        namespace: 'ci',
        labels,
        annotations,
        ownerReferences: [owner],
      });
    }
    const template = deployment(spec, owner).spec?.template.metadata;
    expect(template).toEqual({
      labels,
      annotations: {
        ...annotations,
        'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
        'karpenter.sh/do-not-disrupt': 'true',
      },
    });
  });

  it('leave out what is not known, and the platform where none was asked for', () => {
    const identity = { ...spec.identity, runId: '', sha: '' };
    const { metadata } = deployment({ ...spec, identity, platform: undefined }, undefined);
    expect(Object.keys(metadata?.labels ?? {})).not.toContain('kube-buildx-action/run-id');
    expect(metadata?.annotations).not.toHaveProperty('kube-buildx-action/sha');
    expect(metadata?.annotations).not.toHaveProperty('buildx.docker.com/platform');
    expect(metadata).not.toHaveProperty('ownerReferences');
  });

  it('prove what belongs to a builder', () => {
    const labels = deployment(spec, owner).metadata?.labels;
    expect(belongsTo('kbx-a', labels)).toBe(true);
    expect(belongsTo('kbx-b', labels)).toBe(false);
    expect(belongsTo('kbx-a', { 'app.kubernetes.io/instance': 'kbx-a' })).toBe(false);
    expect(belongsTo('kbx-a', undefined)).toBe(false);
    expect(builderSelector('kbx-a')).toBe(
      'app.kubernetes.io/managed-by=kube-buildx-action,app.kubernetes.io/instance=kbx-a',
    );
  });

  it('have a selector that later runs of the same job share', () => {
    expect(deployment(spec, owner).spec?.selector.matchLabels).toEqual({
      'app.kubernetes.io/managed-by': 'kube-buildx-action',
      'app.kubernetes.io/instance': 'kbx-a',
      'app.kubernetes.io/component': 'linux-arm64-v8',
    });
  });
});

describe('the owner Job', () => {
  it('runs nothing, fails at its deadline and is deleted at once', () => {
    expect(ownerJob(spec, { activeDeadlineSeconds: 300, owner: undefined })).toMatchObject({
      metadata: { name: 'kbx-a' },
      spec: {
        parallelism: 0,
        completions: 1,
        activeDeadlineSeconds: 300,
        ttlSecondsAfterFinished: 0,
      },
    });
  });

  it('never blocks the deletion of its owner', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', name: 'runner', uid: 'p' };
    const { metadata } = ownerJob(spec, { activeDeadlineSeconds: 1, owner: pod });
    expect(metadata?.ownerReferences).toEqual([pod]);
  });
});

describe('placement', () => {
  it('selects what the platform needs', () => {
    const pod = podOf({});
    expect(pod?.nodeSelector).toEqual({
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'arm64',
    });
    expect(pod).not.toHaveProperty('affinity');
  });

  it('takes 386 to the nodes of amd64', () => {
    const platform = { os: 'linux', architecture: '386', variant: '' };
    expect(podOf({ platform })?.nodeSelector?.['kubernetes.io/arch']).toBe('amd64');
  });

  it('only prefers the architecture of the runner when no platform was asked for', () => {
    const pod = podOf({ platform: undefined });
    expect(pod?.nodeSelector).toEqual({ 'kubernetes.io/os': 'linux' });
    const preferred = pod?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    expect(preferred?.[0]?.preference.matchExpressions).toEqual([
      { key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] },
    ]);
    expect(pod?.affinity?.nodeAffinity).not.toHaveProperty(
      'requiredDuringSchedulingIgnoredDuringExecution',
    );
  });

  it('spreads several replicas, softly', () => {
    expect(podOf({})).not.toHaveProperty('topologySpreadConstraints');
    expect(podAsked({ replicas: 2 })?.topologySpreadConstraints).toMatchObject([
      { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
    ]);
  });

  it('does not spread where that could mix architectures', () => {
    expect(
      podOf({ driver: { ...spec.driver, replicas: 2 }, platform: undefined }),
    ).not.toHaveProperty('topologySpreadConstraints');
  });
});

describe('the container', () => {
  const container = (changes: Partial<BuilderSpec>) => podOf(changes)?.containers[0];

  it('allows entitlements only when asked for, and has no liveness probe', () => {
    expect(container({})).toMatchObject({
      name: 'buildkitd',
      securityContext: { privileged: true },
    });
    expect(container({})).not.toHaveProperty('args');
    expect(container({})).not.toHaveProperty('livenessProbe');
    const flags = ['network.host', 'security.insecure'].map(
      (each) => `--allow-insecure-entitlement=${each}`,
    );
    expect(container({ flags })?.args).toEqual([
      '--allow-insecure-entitlement=network.host',
      '--allow-insecure-entitlement=security.insecure',
    ]);
  });

  it('gets configuration and keys at one place, each from its own object', () => {
    const files = [
      file('buildkitd.toml'),
      file('certs/ghcr.io/ca.pem'),
      file('certs/ghcr.io/key.pem', true),
    ];
    const { volumes } = podOf({ files }) ?? {};
    expect(container({ files })?.volumeMounts).toContainEqual({
      name: 'config',
      mountPath: '/etc/buildkit',
      readOnly: true,
    });
    expect(volumes?.find(({ name }) => name === 'config')?.projected?.sources).toEqual([
      {
        configMap: {
          name: 'kbx-a-linux-arm64-v8',
          items: [
            { key: 'buildkitd.toml', path: 'buildkitd.toml' },
            { key: 'certs_ghcr.io_ca.pem', path: 'certs/ghcr.io/ca.pem' },
          ],
        },
      },
      {
        secret: {
          name: 'kbx-a-linux-arm64-v8',
          items: [{ key: 'certs_ghcr.io_key.pem', path: 'certs/ghcr.io/key.pem' }],
        },
      },
    ]);
    expect(configMap({ ...spec, files }, owner)?.data).toEqual({
      'buildkitd.toml': 'of buildkitd.toml',
      'certs_ghcr.io_ca.pem': 'of certs/ghcr.io/ca.pem',
    });
    expect(secret({ ...spec, files }, owner)?.stringData).toEqual({
      'certs_ghcr.io_key.pem': 'of certs/ghcr.io/key.pem',
    });
  });

  it('needs neither object without configuration', () => {
    expect(configMap(spec, owner)).toBeUndefined();
    expect(secret(spec, owner)).toBeUndefined();
    expect(podOf({})?.volumes).toEqual([{ name: 'state', emptyDir: {} }]);
  });
});
