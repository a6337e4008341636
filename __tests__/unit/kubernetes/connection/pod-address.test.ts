import { describe, expect, it } from '@jest/globals';

import { addressFromHosts } from '../../../../src/kubernetes/connection/pod-address.ts';
import type { Pod } from '../../../../src/kubernetes/kube-objects.ts';

const head = `# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
`;

function pod(name: string, spec: Pod['spec'] = {}): Pod {
  return { metadata: { name, uid: 'u' }, spec };
}

describe('addressFromHosts', () => {
  it('reads the line of the pod itself', () => {
    expect(addressFromHosts(`${head}10.88.0.5\tone\n`, pod('one'))).toBe('10.88.0.5');
    expect(addressFromHosts(`${head}fd00::5\tone\n10.1.1.1\tone\n`, pod('one'))).toBe('fd00::5');
    expect(
      addressFromHosts(`${head}10.88.0.5\tone.sub.ns.svc.cluster.local\tone\n`, pod('one')),
    ).toBe('10.88.0.5');
  });

  it('knows the names that the kubelet makes', () => {
    expect(addressFromHosts(`${head}10.0.0.1\tother\n`, pod('one', { hostname: 'other' }))).toBe(
      '10.0.0.1',
    );
    const name = `${'a'.repeat(62)}-bcdef`;
    expect(addressFromHosts(`${head}10.0.0.1\t${'a'.repeat(62)}\n`, pod(name))).toBe('10.0.0.1');
  });

  it('believes neither entries of the spec nor files of others', () => {
    const aliases = '\n# Entries added by HostAliases.\n192.0.2.1\tone\n';
    expect(addressFromHosts(`${head}${aliases}`, pod('one'))).toBeUndefined();
    expect(addressFromHosts(`${head}10.0.0.2\tone\n${aliases}`, pod('one'))).toBe('10.0.0.2');
    expect(addressFromHosts('127.0.0.1 localhost\n10.9.9.9 one\n', pod('one'))).toBeUndefined();
    expect(addressFromHosts(`${head}10.0.0.1\tanother-one\n`, pod('one'))).toBeUndefined();
    expect(addressFromHosts('', pod('one'))).toBeUndefined();
  });
});
