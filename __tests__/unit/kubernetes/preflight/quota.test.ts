import { describe, expect, it } from '@jest/globals';
import type { V1PodSpec } from '@kubernetes/client-node';

import type { ResourceQuota } from '../../../../src/kubernetes/kube-objects.ts';
import { type Demand, findShortfalls } from '../../../../src/kubernetes/preflight/quota.ts';

type Quantities = Readonly<Record<string, string>>;

const quota = (hard: Quantities, used: Quantities = {}, spec: object = {}): ResourceQuota => ({
  metadata: { name: 'q', uid: 'q' },
  spec,
  status: { hard, used },
});
const pod = (resources: object, more: Partial<V1PodSpec> = {}): V1PodSpec => ({
  containers: [{ name: 'buildkitd', resources }],
  ...more,
});
const demand = (changes: Partial<Demand> = {}): Demand => ({
  pod: pod({ requests: { cpu: '1', memory: '1Gi' } }),
  replicas: 1,
  objects: { 'deployments.apps': 1, configmaps: 1, secrets: 0 },
  claim: undefined,
  ...changes,
});
const texts = (quotas: readonly ResourceQuota[], changes: Partial<Demand> = {}): string[] =>
  findShortfalls(quotas, demand(changes)).map(({ text }) => text);

describe('findShortfalls', () => {
  it.each([
    { resource: 'cpu', hard: '1', used: '500m', left: '500m of 1' },
    { resource: 'cpu', hard: '1', used: '0', left: undefined },
    { resource: 'requests.cpu', hard: '4', used: '3500m', left: '500m of 4' },
    { resource: 'memory', hard: '2Gi', used: '2Gi', left: '0 of 2Gi' },
    { resource: 'pods', hard: '2', used: '1', replicas: 2, left: '1 of 2' },
    { resource: 'count/pods', hard: '2', used: '1', replicas: 2, left: '1 of 2' },
    { resource: 'count/deployments.apps', hard: '3', used: '3', left: '0 of 3' },
    { resource: 'configmaps', hard: '1', used: '1', left: '0 of 1' },
    { resource: 'count/configmaps', hard: '1', used: '1', left: '0 of 1' },
    { resource: 'secrets', hard: '1', used: '1', left: undefined },
    { resource: 'services', hard: '0', used: '0', left: undefined },
    { resource: 'limits.ephemeral-storage', hard: '0', used: '0', left: undefined },
  ])('compares $resource: $used of $hard used', ({ resource, hard, used, replicas = 1, left }) => {
    const found = texts([quota({ [resource]: hard }, { [resource]: used })], { replicas });
    expect(found).toEqual(
      left === undefined ? [] : [expect.stringContaining(`quota "q" has ${left} ${resource} left`)],
    );
  });

  it('names what every pod asks for', () => {
    expect(texts([quota({ 'requests.memory': '2Gi' })], { replicas: 3 })).toEqual([
      'quota "q" has 2Gi of 2Gi requests.memory left, and the builder asks for 3Gi (3 pods of 1Gi)',
    ]);
  });

  it('counts overdrawn quotas as empty', () => {
    expect(texts([quota({ pods: '1' }, { pods: '5' })])).toEqual([
      'quota "q" has 0 of 1 pods left, and the builder asks for 1',
    ]);
  });

  it('takes the specification where the status is not there yet', () => {
    const young = { metadata: { name: 'q', uid: 'q' }, spec: { hard: { pods: '0' } } };
    expect(texts([young])).toHaveLength(1);
  });

  it('says what containers must name', () => {
    const found = findShortfalls(
      [quota({ 'limits.memory': '8Gi', 'limits.ephemeral-storage': '1Gi' })],
      demand({ pod: pod({ requests: { memory: '1Gi' } }) }),
    );
    expect(found.map(({ text, hint }) => [text, hint])).toEqual([
      [
        'quota "q" takes no container without limits.memory, and buildkitd has none',
        'Set limits.memory in driver-opts.',
      ],
    ]);
  });

  it('says so of containers of the user too', () => {
    const resources = { limits: { cpu: '1' } };
    const containers = [{ name: 'buildkitd', resources }, { name: 'helper' }];
    const [found] = findShortfalls([quota({ 'limits.cpu': '8' })], demand({ pod: { containers } }));
    expect(found).toMatchObject({ hint: 'Set limits.cpu in pod-template.' });
  });

  it.each([
    [{ scopes: ['NotTerminating'] }, {}, 1],
    [{ scopes: ['Terminating'] }, {}, 0],
    [{ scopes: ['Terminating'] }, { activeDeadlineSeconds: 5 }, 1],
    [{ scopes: ['BestEffort'] }, {}, 0],
    [{ scopes: ['NotBestEffort', 'NotTerminating'] }, {}, 1],
    [{ scopes: ['CrossNamespacePodAffinity'] }, {}, 0],
    [priority('In', ['high']), {}, 0],
    [priority('In', ['high']), { priorityClassName: 'high' }, 1],
    [priority('NotIn', ['high']), {}, 1],
    [priority('Exists'), {}, 0],
    [priority('DoesNotExist'), {}, 1],
    [{ scopeSelector: { matchExpressions: [{ scopeName: 'New', operator: 'Exists' }] } }, {}, 0],
  ])('applies the scope %j to %j', (spec, more, found) => {
    const requests = { cpu: '1', memory: '1Gi' };
    expect(texts([quota({ pods: '0' }, {}, spec)], { pod: pod({ requests }, more) })).toHaveLength(
      found,
    );
  });

  it('knows pods that ask for nothing', () => {
    const scoped = quota({ pods: '0' }, {}, { scopes: ['BestEffort'] });
    expect(texts([scoped], { pod: pod({}) })).toHaveLength(1);
  });

  it('leaves other objects out of quotas with a scope', () => {
    const scoped = quota({ 'count/deployments.apps': '0' }, {}, { scopes: ['NotTerminating'] });
    expect(texts([scoped])).toEqual([]);
  });

  it('counts claims, their size, and those of their class', () => {
    const hard = {
      persistentvolumeclaims: '1',
      'requests.storage': '10Gi',
      'fast.storageclass.storage.k8s.io/requests.storage': '10Gi',
      'slow.storageclass.storage.k8s.io/requests.storage': '0',
      'fast.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    };
    const claim = { storage: '8Gi', storageClass: 'fast' };
    const found = findShortfalls([quota(hard)], demand({ claim, replicas: 2 }));
    expect(found.map(({ resource }) => resource).sort()).toEqual([
      'fast.storageclass.storage.k8s.io/persistentvolumeclaims',
      'fast.storageclass.storage.k8s.io/requests.storage',
      'persistentvolumeclaims',
      'requests.storage',
    ]);
    expect(found.find(({ resource }) => resource === 'requests.storage')).toMatchObject({
      hint: expect.stringContaining('persistent-volume-claim.requests.storage'),
    });
  });

  it.each([
    ['requests.cpu', /^Lower requests\.cpu or replicas/],
    ['cpu', /^Lower requests\.cpu or replicas/],
    ['pods', /^Lower replicas/],
    [
      'count/deployments.apps',
      /kubectl get deployments\.apps -l app\.kubernetes\.io\/managed-by=kube-buildx-action/,
    ],
  ])('says what helps against a lack of %s', (resource, hint) => {
    const [found] = findShortfalls([quota({ [resource]: '0' })], demand());
    expect(found?.hint).toMatch(hint);
  });
});

function priority(operator: string, values?: readonly string[]): object {
  const scope = { scopeName: 'PriorityClass', operator, ...(values ? { values } : {}) };
  return { scopeSelector: { matchExpressions: [scope] } };
}
