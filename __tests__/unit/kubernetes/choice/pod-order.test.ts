import { describe, expect, it } from '@jest/globals';
import { podOrder } from '../../../../src/kubernetes/choice/pod-order.ts';
import { usablePods } from '../../../../src/kubernetes/choice/usable-pods.ts';
import type { Condition, Pod } from '../../../../src/kubernetes/kube-objects.ts';

const pod = (name: string, more: Partial<Pod> = {}): Pod => ({
  metadata: { name, uid: name },
  ...more,
});
const pods = ['p-a', 'p-b', 'p-c', 'p-d'].map((name) => pod(name));
const names = (list: readonly Pod[]): string[] => list.map(({ metadata }) => metadata.name);
const withConditions = (name: string, ...conditions: Condition[]): Pod =>
  pod(name, {
    spec: { nodeName: `node-of-${name}` },
    status: {
      phase: 'Running',
      conditions,
      containerStatuses: [
        {
          name: 'buildkitd',
          restartCount: 0,
          state: { running: { startedAt: '2026-01-01T00:00:10Z' } },
        },
      ],
    },
  });

describe('usablePods', () => {
  const well = withConditions('well', { type: 'Ready', status: 'True' });

  it('leaves out what leaves', () => {
    const leaving = [
      pod('gone', { metadata: { name: 'gone', uid: 'g', deletionTimestamp: 'now' } }),
      pod('failed', { status: { phase: 'Failed' } }),
      withConditions('evicted', { type: 'DisruptionTarget', status: 'True' }),
    ];
    expect(names(usablePods([...leaving, well]))).toEqual(['well']);
    expect(usablePods(leaving)).toEqual([]);
  });

  it('avoids a pod that was ready and is no longer, if there is another', () => {
    const ready = { type: 'Ready', status: 'False' };
    const sick = withConditions('sick', { ...ready, lastTransitionTime: '2026-01-01T00:05:00Z' });
    const young = withConditions('young', { ...ready, lastTransitionTime: '2026-01-01T00:00:08Z' });
    expect(names(usablePods([sick, young]))).toEqual(['young']);
    expect(names(usablePods([sick]))).toEqual(['sick']);
  });
});

describe('podOrder', () => {
  const keys = { affinityKey: 'acme/app', buildxKey: 'test1' };

  it('sticks to the key, and does so for ties of least-busy', () => {
    expect(names(podOrder('sticky', keys)(pods))).toEqual(['p-a', 'p-c', 'p-d', 'p-b']);
    expect(podOrder('least-busy', keys)(pods)).toEqual(podOrder('sticky', keys)(pods));
  });

  it('takes the ring and the key of buildx', () => {
    expect(names(podOrder('buildx', keys)(['a', 'b', 'c'].map((name) => pod(name))))[0]).toBe('b');
  });

  it('draws at random once', () => {
    const order = podOrder('random', keys);
    expect(order([...pods].reverse())).toEqual(order(pods));
    const firsts = Array.from({ length: 60 }, () => podOrder('random', keys)(pods)[0]);
    expect(new Set(firsts).size).toBeGreaterThan(1);
  });
});
