import { describe, expect, it } from '@jest/globals';
import type { Pod } from '../../../src/kubernetes/kube-objects.ts';
import { choosePod, rankPods } from '../../../src/kubernetes/pod-choice.ts';

const pod = (name: string, more: Partial<Pod> = {}): Pod => ({
  metadata: { name, uid: name },
  ...more,
});
const pods = ['p-a', 'p-b', 'p-c', 'p-d'].map((name) => pod(name));
const keys = Array.from({ length: 400 }, (_item, index) => `owner/repository-${index}`);
const first = (from: readonly Pod[], key: string) => rankPods(from, key)[0]?.metadata.name;

describe('rankPods', () => {
  // By sha256sum of the key, a zero byte and the name: a is dc58…, c 8ec8…, d 4d9e…, b 1498….
  it('puts the highest hash first, in whatever order the pods come', () => {
    const names = (list: readonly Pod[]) => rankPods(list, 'acme/app').map((p) => p.metadata.name);
    expect(names([...pods].reverse())).toEqual(names(pods));
    expect(names(pods)).toEqual(['p-a', 'p-c', 'p-d', 'p-b']);
  });

  it('spreads keys evenly', () => {
    const counts = new Map<string | undefined, number>();
    for (const key of keys) counts.set(first(pods, key), (counts.get(first(pods, key)) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual(['p-a', 'p-b', 'p-c', 'p-d']);
    for (const count of counts.values()) expect(count).toBeGreaterThan(60);
  });

  it('moves only the keys of a pod that goes', () => {
    const left = pods.filter(({ metadata }) => metadata.name !== 'p-b');
    for (const key of keys) {
      const before = first(pods, key);
      if (before !== 'p-b') expect(first(left, key)).toBe(before);
    }
  });

  it('leaves out what is ending', () => {
    const ending = [
      pod('gone', { metadata: { name: 'gone', uid: 'g', deletionTimestamp: 'now' } }),
      pod('failed', { status: { phase: 'Failed' } }),
      pod('alive', { status: { phase: 'Running' } }),
    ];
    expect(rankPods(ending, 'k').map(({ metadata }) => metadata.name)).toEqual(['alive']);
  });
});

describe('choosePod', () => {
  const options = { affinityKey: 'k', replicas: 4, settled: false, isHopeless: () => false };

  it('waits until all pods are there to choose from, or no more will come', () => {
    expect(choosePod(pods.slice(1), options)).toBeUndefined();
    expect(choosePod(pods.slice(1), { ...options, settled: true })).toBeDefined();
    expect(choosePod([], { ...options, settled: true })).toBeUndefined();
  });

  it('takes the next one where the favourite cannot come', () => {
    const [favourite, second] = rankPods(pods, 'k');
    expect(choosePod(pods, options)).toBe(favourite);
    expect(choosePod(pods, { ...options, isHopeless: (p) => p === favourite })).toBe(second);
    expect(choosePod(pods, { ...options, isHopeless: () => true })).toBeUndefined();
  });
});
