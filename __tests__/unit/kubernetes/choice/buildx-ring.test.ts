import { describe, expect, it } from '@jest/globals';
import { rankByBuildxRing } from '../../../../src/kubernetes/choice/buildx-ring.ts';
import type { Pod } from '../../../../src/kubernetes/kube-objects.ts';

const pod = (name: string): Pod => ({ metadata: { name, uid: name } });
const order = (names: readonly string[], key: string): string[] =>
  rankByBuildxRing(names.map(pod), key).map(({ metadata }) => metadata.name);

const context = '/home/runner/work/app/app';
const url = `${context}/https:/github.com/acme/app.git`;
const deployment = ['2xk7p', '9zq4m', 'hh8vt'].map((suffix) => `b0-6d4f8c7c9d-${suffix}`);
const statefulSet = ['builder-x0-0', 'builder-x0-1', 'builder-x0-2'];

describe('rankByBuildxRing', () => {
  // The test of the library that buildx uses.
  it.each([
    ['test', 'a'],
    ['test1', 'b'],
    ['test2', 'b'],
    ['test3', 'c'],
    ['test4', 'a'],
    ['test5', 'c'],
    ['aaaa', 'c'],
    ['bbbb', 'a'],
  ])('gives key %s to %s', (key, expected) => {
    expect(order(['a', 'b', 'c'], key)[0]).toBe(expected);
    expect(order(['c', 'b', 'a'], key)[0]).toBe(expected);
  });

  // What buildx itself chose.
  it.each([
    [context, '2xk7p'],
    [`${context}/services/api`, '2xk7p'],
    [`${url}#refs/heads/main`, '9zq4m'],
    [`${url}#860c1904a1ce19322e91ac35af1ab07466440c37`, '2xk7p'],
  ])('chooses for %s the pod of a Deployment that buildx chooses', (key, suffix) => {
    expect(order(deployment, key)[0]).toBe(`b0-6d4f8c7c9d-${suffix}`);
  });

  it.each([
    [context, 'builder-x0-2'],
    [`${context}/services/api`, 'builder-x0-2'],
    [`${url}#refs/heads/main`, 'builder-x0-2'],
    ['', 'builder-x0-1'],
  ])('chooses for "%s" the pod of a StatefulSet that buildx chooses', (key, expected) => {
    expect(order(statefulSet, key)[0]).toBe(expected);
  });

  it('goes on along the ring', () => {
    // Highest numbers of the points: 2xk7p -5028…, 9zq4m -4585…, hh8vt -2790….
    expect(order(deployment, `${url}#refs/heads/main`)).toEqual([
      'b0-6d4f8c7c9d-9zq4m',
      'b0-6d4f8c7c9d-hh8vt',
      'b0-6d4f8c7c9d-2xk7p',
    ]);
    expect(order([], 'key')).toEqual([]);
  });
});
