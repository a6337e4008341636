import { describe, expect, it } from '@jest/globals';

import type { LimitRange } from '../../../../src/kubernetes/kube-objects.ts';
import { findBreaches, withDefaults } from '../../../../src/kubernetes/preflight/limits.ts';

type Limit = NonNullable<NonNullable<LimitRange['spec']>['limits']>[number];
const range = (...limits: Limit[]): LimitRange => ({
  metadata: { name: 'r', uid: 'r' },
  spec: { limits },
});
const pod = (resources: object) => ({ containers: [{ name: 'buildkitd', resources }] });

describe('withDefaults', () => {
  const defaults = {
    type: 'Container',
    default: { cpu: '2', memory: '2Gi' },
    defaultRequest: { cpu: '1', memory: '1Gi' },
  };

  it('fills in what a container does not name, and its own limits for requests first', () => {
    const filled = withDefaults(pod({ limits: { cpu: '4' } }), [range(defaults)]);
    expect(filled.containers[0]?.resources).toEqual({
      requests: { cpu: '4', memory: '1Gi' },
      limits: { cpu: '4', memory: '2Gi' },
    });
  });

  it('leaves what a container names', () => {
    const resources = {
      requests: { cpu: '1', memory: '5Gi' },
      limits: { cpu: '1', memory: '5Gi' },
    };
    expect(withDefaults(pod(resources), [range(defaults)]).containers[0]?.resources).toEqual(
      resources,
    );
  });

  it('takes no defaults from limits of other kinds', () => {
    const bare = pod({});
    expect(withDefaults(bare, [range({ ...defaults, type: 'Pod' })])).toBe(bare);
  });
});

describe('findBreaches', () => {
  it.each([
    [
      { type: 'Container', max: { memory: '1Gi' } },
      { limits: { memory: '2Gi' } },
      'LimitRange "r" allows 1Gi of memory, container buildkitd has 2Gi',
    ],
    [
      { type: 'Container', max: { cpu: '1' } },
      {},
      'LimitRange "r" allows 1 of cpu, container buildkitd has no limit',
    ],
    [
      { type: 'Pod', max: { cpu: '1' } },
      { limits: { cpu: '1500m' } },
      'LimitRange "r" allows 1 of cpu, the pod has 1500m',
    ],
    [
      { type: 'Container', min: { cpu: '1' } },
      { requests: { cpu: '250m' } },
      'LimitRange "r" wants at least 1 of cpu, container buildkitd has 250m',
    ],
    [
      { type: 'PersistentVolumeClaim', max: { storage: '5Gi' } },
      {},
      'LimitRange "r" allows 5Gi of storage, its claim has 10Gi',
    ],
  ])('finds %j against %j', (limit, resources, expected) => {
    const built = { pod: pod(resources), storage: '10Gi' };
    expect(findBreaches([range(limit)], built)).toEqual([expected]);
  });

  it.each([
    [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '1' } }],
    [{ type: 'PersistentVolumeClaim', max: { storage: '1Gi' } }],
    [{ type: 'Other', max: { cpu: '0' } }],
  ])('finds nothing against %j in what keeps to it', (limit) => {
    const built = { pod: pod({ limits: { cpu: '1' } }), storage: undefined };
    expect(findBreaches([range(limit)], built)).toEqual([]);
  });
});
