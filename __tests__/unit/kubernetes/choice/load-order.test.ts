import { describe, expect, it } from '@jest/globals';
import {
  explainChoice,
  fairShare,
  orderByLoad,
} from '../../../../src/kubernetes/choice/load-order.ts';
import type { Pod } from '../../../../src/kubernetes/kube-objects.ts';
import type { LoadBalance } from '../../../../src/options/options.ts';

const pod = (name: string): Pod => ({ metadata: { name, uid: name } });
const ranked = ['a', 'b', 'c', 'd'].map(pod);

/** Loads of the pods in the order of their rank. */
const loadOf =
  (...loads: number[]) =>
  (of: Pod): number =>
    loads[ranked.indexOf(of)] ?? 0;
const order = (strategy: LoadBalance, ...loads: number[]): string =>
  orderByLoad(ranked, { strategy, loadOf: loadOf(...loads) })
    .map(({ metadata }) => metadata.name)
    .join('');

describe('fairShare', () => {
  it.each([
    [0, 4, 1],
    [1, 2, 2],
    [2, 2, 2],
    [3, 4, 2],
    [7, 4, 3],
    [15, 4, 5],
    [0, 200, 1],
  ])('with %i builds on %i pods is %i', (running, pods, expected) => {
    expect(fairShare(running, pods)).toBe(expected);
  });
});

describe('orderByLoad', () => {
  it('leaves the favourite its second build where two pods share one', () => {
    const two = ranked.slice(0, 2);
    const first = (...loads: number[]): string | undefined =>
      orderByLoad(two, { strategy: 'sticky', loadOf: loadOf(...loads) })[0]?.metadata.name;
    expect([first(0, 0), first(1, 0), first(2, 0), first(2, 1)]).toEqual(['a', 'a', 'b', 'a']);
  });

  it('passes on what is above the share, and comes back to it last', () => {
    expect(order('sticky', 1, 0, 0, 0)).toBe('bcda');
    expect(order('sticky', 1, 1, 1, 0)).toBe('abcd');
    expect(order('sticky', 3, 3, 1, 0)).toBe('cdab');
  });

  it('never finds all of them too busy', () => {
    for (let seed = 0; seed < 4 ** 4; seed += 1) {
      const loads = [0, 1, 2, 3].map((index) => Math.floor(seed / 4 ** index) % 4);
      const total = loads.reduce((sum, load) => sum + load);
      const first = orderByLoad(ranked, { strategy: 'sticky', loadOf: loadOf(...loads) })[0]!;
      expect(loadOf(...loads)(first)).toBeLessThan(fairShare(total, 4));
    }
  });

  it('looks for the least busy, by rank where they are equal', () => {
    expect(order('least-busy', 2, 1, 0, 1)).toBe('cbda');
  });

  it('leaves the order of the other strategies', () => {
    expect(order('random', 9, 0, 0, 0)).toBe('abcd');
    expect(order('buildx', 9, 0, 0, 0)).toBe('abcd');
  });
});

describe('explainChoice', () => {
  const explain = (strategy: LoadBalance, chosen: Pod, full: readonly Pod[] = []): string =>
    explainChoice(chosen, {
      ranked,
      strategy,
      key: 'acme/app',
      loadOf: loadOf(3, 1, 0, 1),
      isFull: (other) => full.includes(other),
    });
  const [a, b, c] = ranked as [Pod, Pod, Pod];

  it.each([
    [explain('sticky', a), 'Pod a of 4: the favourite of acme/app'],
    [explain('sticky', b), 'Pod b of 4: a, the favourite of acme/app, has 3 of 5 running builds'],
    [explain('sticky', b, [a]), 'Pod b of 4: a, the favourite of acme/app, has no free slot'],
    [explain('random', a), 'Pod a of 4: drawn at random'],
    [explain('random', b, [a]), 'Pod b of 4: a, drawn at random, has no free slot'],
    [explain('least-busy', c), 'Pod c of 4: the least busy'],
    [explain('buildx', a), 'Pod a of 4: the one of buildx for acme/app'],
  ])('says "%s"', (text, expected) => {
    expect(text).toBe(expected);
  });

  it('has no reason to give for the only pod', () => {
    const choice = { strategy: 'sticky', key: 'k', loadOf: () => 0, isFull: () => false } as const;
    expect(explainChoice(a, { ...choice, ranked: [a] })).toBe('Pod a, the only one');
  });
});
