import { describe, expect, it } from '@jest/globals';
import type { V1StatefulSet } from '@kubernetes/client-node';
import { disruptionBudget } from '../../../../src/kubernetes/manifests/disruption-budget.ts';
import { ownerConfigMap } from '../../../../src/kubernetes/manifests/owner-config-map.ts';
import { workload } from '../../../../src/kubernetes/manifests/workload.ts';
import { namedSpec, type SpecChanges } from '../../../helpers/builder-spec.ts';

const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'kbx-a', uid: 'u' };
const files = [{ path: 'buildkitd.toml', content: '', secret: false }];

function statefulSetOf(changes: SpecChanges, claim: Partial<Claim> = {}): V1StatefulSet {
  const stateVolume = {
    kind: 'claim',
    storage: '5Gi',
    storageClass: undefined,
    accessMode: 'ReadWriteOnce',
    ...claim,
  } as const;
  return workload(namedSpec({ ...changes, driver: { stateVolume } }), owner) as V1StatefulSet;
}

interface Claim {
  readonly storageClass: string | undefined;
  readonly accessMode: 'ReadWriteOncePod';
}

describe('a StatefulSet', () => {
  it('has a claim for the state of each pod, beside the configuration', () => {
    const { kind, spec } = statefulSetOf({ files });
    expect(kind).toBe('StatefulSet');
    expect(spec).toMatchObject({
      replicas: 1,
      podManagementPolicy: 'Parallel',
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
      volumeClaimTemplates: [
        {
          metadata: { name: 'state', ownerReferences: [owner] },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
        },
      ],
    });
    const pod = spec?.template.spec;
    expect(pod?.volumes?.map(({ name }) => name)).toEqual(['config']);
    expect(pod?.containers[0]?.volumeMounts?.map(({ name }) => name)).toEqual(['state', 'config']);
  });

  it('asks for a class and an access mode when told', () => {
    const claim = { storageClass: 'fast', accessMode: 'ReadWriteOncePod' } as const;
    expect(statefulSetOf({}, claim).spec?.volumeClaimTemplates?.[0]?.spec).toMatchObject({
      storageClassName: 'fast',
      accessModes: ['ReadWriteOncePod'],
    });
    // An empty class would mean none, rather than the default one.
    expect(statefulSetOf({}).spec?.volumeClaimTemplates?.[0]?.spec).not.toHaveProperty(
      'storageClassName',
    );
  });

  it('of a pool has claims that nothing but the pool itself owns', () => {
    const { spec } = statefulSetOf({ builder: { name: 'pool', cleanup: false } });
    expect(spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted).toBe('Delete');
    expect(spec?.volumeClaimTemplates?.[0]?.metadata).toEqual({ name: 'state' });
  });

  it('keeps claims where the state is to be kept', () => {
    const { spec } = statefulSetOf({ builder: { name: 'pool', keepState: true } });
    expect(spec?.persistentVolumeClaimRetentionPolicy).toEqual({
      whenDeleted: 'Retain',
      whenScaled: 'Retain',
    });
    expect(spec?.volumeClaimTemplates?.[0]?.metadata).toEqual({ name: 'state' });
  });
});

describe('a pool', () => {
  const pool = namedSpec({ builder: { name: 'pool', cleanup: false } });

  it('lets go of one pod at a time, and of broken ones always', () => {
    const budget = disruptionBudget(pool, owner);
    expect(budget?.metadata).toMatchObject({
      name: 'pool-linux-arm64-v8',
      ownerReferences: [owner],
    });
    expect(budget?.spec).toEqual({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: workload(pool, undefined).spec?.selector,
    });
  });

  it('has an owner that does not expire, which nothing owns', () => {
    const { kind, metadata } = ownerConfigMap(pool);
    expect([kind, metadata?.name]).toEqual(['ConfigMap', 'pool']);
    expect(metadata).not.toHaveProperty('ownerReferences');
  });
});

it('needs no budget for a builder that lives no longer than its jobs', () => {
  expect(disruptionBudget(namedSpec(), owner)).toBeUndefined();
  expect(disruptionBudget(namedSpec({ builder: { name: 'shared' } }), owner)).toBeUndefined();
});
