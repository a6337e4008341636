import { describe, expect, it } from '@jest/globals';
import { rankByRendezvous } from '../../../../src/kubernetes/choice/rendezvous.ts';
import type { Pod } from '../../../../src/kubernetes/kube-objects.ts';

const pod = (name: string): Pod => ({ metadata: { name, uid: name } });
const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name);
const keys = (count: number): string[] =>
  Array.from({ length: count }, (_item, index) => `acme/repository-${index}`);

describe('rankByRendezvous', () => {
  const pods = ['p-a', 'p-b', 'p-c', 'p-d'].map(pod);

  // By sha256sum of the key, a zero byte and the name: a is dc58…, c 8ec8…, d 4d9e…, b 1498….
  it('puts the highest hash first, in whatever order the pods come', () => {
    expect(names(rankByRendezvous(pods, 'acme/app'))).toEqual(['p-a', 'p-c', 'p-d', 'p-b']);
    expect(names(rankByRendezvous([...pods].reverse(), 'acme/app'))).toEqual(
      names(rankByRendezvous(pods, 'acme/app')),
    );
  });

  it('moves only the keys of a pod that goes, and spreads them', () => {
    const left = pods.filter(({ metadata }) => metadata.name !== 'p-b');
    const heirs = new Set<string | undefined>();
    for (const key of keys(400)) {
      const [before, next] = names(rankByRendezvous(pods, key));
      const [after] = names(rankByRendezvous(left, key));
      expect(after).toBe(before === 'p-b' ? next : before);
      if (before === 'p-b') heirs.add(after);
    }
    expect([...heirs].sort()).toEqual(['p-a', 'p-c', 'p-d']);
  });

  /**
   * Of 10 000 keys, on the first 3, 4, … 64 of these pods. Every pod is met with every key once:
   * what a key prefers among the first n pods is the best of those seen so far.
   */
  it.each([
    ['Deployment', (index: number) => `pool-linux-amd64-6d4f8c7c9d-${index.toString(36)}x${index}`],
    ['StatefulSet', (index: number) => `pool-linux-amd64-${index}`],
  ])('gives no pod of a %s above 1.25 times the mean', (_kind, nameOf) => {
    const all = Array.from({ length: 64 }, (_item, index) => pod(nameOf(index)));
    const places = new Map(all.map(({ metadata }, index) => [metadata.name, index]));
    const counts = all.map(() => all.map(() => 0));
    const tested = keys(10_000);
    for (const key of tested) {
      // In a ranking the first of the first n pods is the first whose place is below n.
      let size = all.length;
      for (const name of names(rankByRendezvous(all, key))) {
        const place = places.get(name) ?? 0;
        for (; size > place; size -= 1) counts[size - 1]![place]! += 1;
      }
    }
    for (const [index, ofPods] of counts.entries()) {
      if (index + 1 < 3) continue;
      expect(ofPods.reduce((sum, count) => sum + count)).toBe(tested.length);
      expect(Math.max(...ofPods) / (tested.length / (index + 1))).toBeLessThanOrEqual(1.25);
    }
  });
});
