import { describe, expect, it } from '@jest/globals';
import { strategicMerge } from '../../../../src/kubernetes/manifests/strategic-merge.ts';

type Tree = Readonly<Record<string, unknown>>;

function merge(base: Tree, patch: Tree): Tree {
  const problems: string[] = [];
  const merged = strategicMerge(base, patch, problems);
  expect(problems).toEqual([]);
  return merged;
}

function problemsOf(base: Tree, patch: Tree): string[] {
  const problems: string[] = [];
  strategicMerge(base, patch, problems);
  return problems;
}

describe('maps', () => {
  it('are merged at any depth, and null removes', () => {
    const base = { spec: { a: { b: 1, c: 2 }, keep: true } };
    const patch = { spec: { a: { b: 3, c: null, d: 4 } } };
    expect(merge(base, patch)).toEqual({ spec: { a: { b: 3, d: 4 }, keep: true } });
  });

  it('are replaced or deleted by directive', () => {
    expect(merge({ a: { b: 1, c: 2 } }, { a: { $patch: 'replace', b: 3 } })).toEqual({
      a: { b: 3 },
    });
    expect(merge({ a: { b: 1 }, c: 2 }, { a: { $patch: 'delete' } })).toEqual({ c: 2 });
    expect(merge({ a: { b: 1 } }, { a: { $patch: 'merge', c: 2 } })).toEqual({ a: { b: 1, c: 2 } });
  });

  it('leave what they were made from as it was', () => {
    const base = { containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }] };
    const copy = structuredClone(base);
    merge(base, { containers: [{ name: 'a', env: [{ name: 'X', value: '2' }] }] });
    expect(base).toEqual(copy);
  });

  it('hold no directive of new parts', () => {
    expect(merge({}, { a: { $patch: 'replace', b: { $patch: 'merge', c: 1 } } })).toEqual({
      a: { b: { c: 1 } },
    });
  });
});

describe('lists with names', () => {
  it.each([
    ['containers', 'name', 'a', 'b'],
    ['initContainers', 'name', 'a', 'b'],
    ['env', 'name', 'a', 'b'],
    ['ports', 'containerPort', 1, 2],
    ['volumeMounts', 'mountPath', '/a', '/b'],
    ['volumeDevices', 'devicePath', '/a', '/b'],
    ['volumes', 'name', 'a', 'b'],
    ['imagePullSecrets', 'name', 'a', 'b'],
    ['hostAliases', 'ip', '::1', '::2'],
    ['topologySpreadConstraints', 'topologyKey', 'a', 'b'],
    ['resourceClaims', 'name', 'a', 'b'],
    ['schedulingGates', 'name', 'a', 'b'],
  ])('%s are merged by %s, new items at the end', (field, key, known, added) => {
    const base = { [field]: [{ [key]: known, x: 1, y: 1 }] };
    const patch = { [field]: [{ [key]: added }, { [key]: known, y: 2 }] };
    expect(merge(base, patch)).toEqual({
      [field]: [{ [key]: known, x: 1, y: 2 }, { [key]: added }],
    });
  });

  it('lose an item, or all, by directive', () => {
    const base = { volumes: [{ name: 'a' }, { name: 'b' }] };
    expect(merge(base, { volumes: [{ name: 'a', $patch: 'delete' }] })).toEqual({
      volumes: [{ name: 'b' }],
    });
    expect(merge(base, { volumes: [{ $patch: 'replace' }, { name: 'c' }] })).toEqual({
      volumes: [{ name: 'c' }],
    });
    expect(merge(base, { volumes: [{ name: 'x', $patch: 'delete' }] })).toEqual(base);
  });

  it('exist where there were none', () => {
    expect(merge({}, { containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }] })).toEqual({
      containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }],
    });
  });

  it('change the way of an item that can have but one', () => {
    const base = {
      volumes: [{ name: 'state', emptyDir: { medium: 'Memory' } }],
      env: [{ name: 'X', value: '1' }],
    };
    const patch = {
      volumes: [{ name: 'state', hostPath: { path: '/nvme' } }],
      env: [{ name: 'X', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
    };
    expect(merge(base, patch)).toEqual(patch);
    expect(merge(base, { volumes: [{ name: 'state', emptyDir: { sizeLimit: '1Gi' } }] })).toEqual({
      ...base,
      volumes: [{ name: 'state', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } }],
    });
  });
});

describe('other lists', () => {
  it.each(['tolerations', 'args', 'sources', 'nodeSelectorTerms'])(
    '%s are taken whole',
    (field) => {
      expect(merge({ [field]: [{ name: 'a' }] }, { [field]: [{ name: 'b' }] })).toEqual({
        [field]: [{ name: 'b' }],
      });
    },
  );
});

describe('what is wrong', () => {
  it('is told by path, all of it', () => {
    const base = { spec: { containers: [{ name: 'a' }], nodeSelector: { x: 'y' }, hostname: 'h' } };
    const patch = {
      spec: {
        containers: [{ image: 'x' }, 'text', { name: 'a', ports: [{ name: 'web' }] }],
        nodeSelector: ['x'],
        hostname: { a: 1 },
        $retainKeys: ['containers'],
        affinity: { $patch: 'remove' },
        volumes: [{ $patch: 'replace', name: 'x' }],
      },
    };
    expect(problemsOf(base, patch)).toEqual([
      'spec.containers[0] has no name',
      'spec.containers[1] has no name',
      'spec.containers[2].ports[0] has no containerPort',
      'spec.nodeSelector must be a map',
      'spec.hostname must be a single value',
      'spec.$retainKeys is no directive that is understood; $patch is',
      'spec.affinity.$patch is remove; it may be delete, replace or merge',
      'spec.volumes[0]: $patch: replace stands alone in its item of a list',
    ]);
  });

  it('names lists that are none', () => {
    expect(problemsOf({ containers: [] }, { containers: { name: 'a' } })).toEqual([
      'containers must be a list',
    ]);
  });
});
