import { describe, expect, it } from '@jest/globals';
import type { V1Container } from '@kubernetes/client-node';

import {
  containerAmounts,
  podAmounts,
  readAmounts,
  showAmount,
} from '../../../../src/kubernetes/preflight/amounts.ts';

const container = (name: string, requests: object, more: object = {}): V1Container =>
  ({ name, resources: { requests }, ...more }) as V1Container;
const show = (amounts: Readonly<Partial<Record<string, bigint>>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(amounts).map(([name, amount = 0n]) => [name, showAmount(amount, name)]),
  );

describe('showAmount', () => {
  it.each([
    ['cpu', '250m', '250m'],
    ['cpu', '1.5', '1500m'],
    ['cpu', '1024', '1024'],
    ['pods', '2', '2'],
    ['requests.memory', '512Mi', '512Mi'],
    ['requests.memory', '1.5Gi', '1536Mi'],
    ['limits.memory', '2048Mi', '2Gi'],
    ['memory', '100000000000', '95367Mi'],
    ['memory', '1500', '1500'],
    ['memory', '4096', '4Ki'],
    ['memory', '0', '0'],
    ['fast.storageclass.storage.k8s.io/requests.storage', '1Ti', '1Ti'],
  ])('writes %s of %s as %s', (resource, quantity, expected) => {
    expect(showAmount(readAmounts({ it: quantity }).it ?? 0n, resource)).toBe(expected);
  });
});

describe('containerAmounts', () => {
  it('takes limits for requests that are not named', () => {
    const resources = { limits: { cpu: '2', memory: '1Gi' }, requests: { cpu: '1' } };
    const { requests, limits } = containerAmounts({ name: 'x', resources });
    expect([show(requests), show(limits)]).toEqual([
      { cpu: '1', memory: '1Gi' },
      { cpu: '2', memory: '1Gi' },
    ]);
  });
});

describe('podAmounts', () => {
  it('adds containers up, and takes the largest init container if that is more', () => {
    const spec = {
      containers: [container('a', { cpu: '1', memory: '1Gi' }), container('b', { cpu: '2' })],
      initContainers: [container('i', { memory: '3Gi' }), container('j', { cpu: '1' })],
    };
    expect(show(podAmounts(spec, 'requests'))).toEqual({ cpu: '3', memory: '3Gi' });
  });

  it('adds init containers that stay to all that comes after them', () => {
    const stays = { restartPolicy: 'Always' };
    const spec = {
      containers: [container('a', { cpu: '1' })],
      initContainers: [
        container('before', { cpu: '4' }),
        container('mesh', { cpu: '1' }, stays),
        container('after', { cpu: '4' }),
      ],
    };
    expect(show(podAmounts(spec, 'requests'))).toEqual({ cpu: '5' });
    expect(
      show(podAmounts({ ...spec, initContainers: [spec.initContainers[1]!] }, 'requests')),
    ).toEqual({ cpu: '2' });
  });

  it('adds the overhead of a runtime class, to limits only where there are some', () => {
    const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '1Gi' } };
    const spec = {
      containers: [{ name: 'a', resources }],
      overhead: { cpu: '250m', memory: '128Mi' },
    };
    expect(show(podAmounts(spec, 'requests'))).toEqual({ cpu: '1250m', memory: '1152Mi' });
    expect(show(podAmounts(spec, 'limits'))).toEqual({ memory: '1152Mi' });
  });

  it('takes what the pod itself asks for instead', () => {
    const spec = {
      containers: [container('a', { cpu: '1', memory: '1Gi' })],
      resources: { requests: { cpu: '4' } },
    };
    expect(show(podAmounts(spec, 'requests'))).toEqual({ cpu: '4', memory: '1Gi' });
  });
});
