import { describe, expect, it } from '@jest/globals';

import type { RemoteEndpoint } from '../../../src/options/options.ts';
import type { World } from '../../../src/options/world.ts';
import { files, parseOptions, problemsOf, world } from './parse-inputs.ts';

type Inputs = Readonly<Record<string, string>>;

const tcp = { driver: 'remote', endpoint: 'tcp://buildkitd.example.com:1234' };
const pem = (what: string): string => `-----BEGIN ${what}-----\nhunter2\n-----END ${what}-----\n`;
const variables = {
  BUILDER_NODE_0_AUTH_TLS_CACERT: pem('CA'),
  BUILDER_NODE_0_AUTH_TLS_CERT: pem('CERT'),
  BUILDER_NODE_0_AUTH_TLS_KEY: pem('KEY'),
};

const remoteOf = (raw: Inputs, facts: World = world()): RemoteEndpoint | undefined =>
  parseOptions(raw, facts).builder.remote;

describe('driver: remote', () => {
  it.each([
    'tcp://localhost:1234',
    'tcp://10.0.0.7:1234',
    'tcp://[fd00::7]:1234',
    'unix:///run/buildkit/buildkitd.sock',
  ])('reaches %s', (endpoint) => {
    expect(remoteOf({ driver: 'remote', endpoint })).toEqual({ url: endpoint, tls: undefined });
  });

  it('takes certificates from the variables of the node, and masks the key', () => {
    const options = parseOptions(tcp, world({ env: variables }));
    expect(options.builder.remote?.tls).toEqual({
      ca: pem('CA'),
      cert: pem('CERT'),
      key: pem('KEY'),
      serverName: undefined,
    });
    expect(options.secrets).toEqual([pem('KEY')]);
  });

  it('takes certificates from files, which come first', () => {
    const texts: Inputs = { '/work/app/certs/ca.pem': pem('OTHER') };
    const facts = world(
      { env: variables, readText: (path) => texts[path] },
      { ...files, '/work/app/certs/ca.pem': 'file' },
    );
    const raw = { ...tcp, 'driver-opts': 'cacert=certs/ca.pem,ServerName=buildkitd,timeout=5s' };
    expect(remoteOf(raw, facts)?.tls).toMatchObject({ ca: pem('OTHER'), serverName: 'buildkitd' });
    expect(parseOptions(raw, facts).builder.driver.timeoutMs).toBe(5000);
  });

  it('has no use for certificates on a socket', () => {
    const socket = { driver: 'remote', endpoint: 'unix:///a.sock' };
    expect(remoteOf(socket, world({ env: variables }))?.tls).toBeUndefined();
  });

  it.each<[string, Inputs, RegExp]>([
    ['no endpoint', { driver: 'remote' }, /^INPUT_CONTRADICTION: .*`remote` has no `endpoint`/],
    [
      'an endpoint alone',
      { endpoint: 'tcp://a:1' },
      /^INPUT_CONTRADICTION: .*`endpoint` is set, and `driver` is not/,
    ],
    [
      'no port',
      { ...tcp, endpoint: 'tcp://a' },
      /`endpoint`: `tcp:\/\/a` is not an address.*expected tcp:\/\/host:port/,
    ],
    ['a large port', { ...tcp, endpoint: 'tcp://a:70000' }, /is not an address/],
    ['no IPv6 address', { ...tcp, endpoint: 'tcp://[a]:1' }, /is not an address/],
    ['a relative socket', { ...tcp, endpoint: 'unix://a.sock' }, /is not an address/],
    ['another scheme', { ...tcp, endpoint: 'ssh://me@a' }, /is not an address/],
    [
      'a namespace',
      { ...tcp, 'driver-opts': 'namespace=ci' },
      /^INPUT_CONTRADICTION: driver option `namespace` shapes pods/,
    ],
    [
      'an unknown option',
      { ...tcp, 'driver-opts': 'nonsense=1' },
      /`nonsense` is not a driver option.*Known are cacert, cert, key, servername, default-load, timeout/,
    ],
    ['a mistyped one', { ...tcp, 'driver-opts': 'servernam=a' }, /Did you mean `servername`/],
    ['no PEM', { ...tcp, 'driver-opts': 'key=hunter2' }, /`key` is not the path of a PEM file/],
    ...['kubeconfig', 'kube-context', 'pod-template', 'affinity-key', 'buildkitd-flags'].map(
      (name): [string, Inputs, RegExp] => [
        name,
        { ...tcp, [name]: 'spec: {}' },
        new RegExp(`^INPUT_CONTRADICTION: input \`${name}\` shapes pods`),
      ],
    ),
    ['a way to pods', { ...tcp, connection: 'exec' }, /input `connection` shapes pods/],
    [
      'slots of pods',
      { ...tcp, 'max-builds-per-pod': '2' },
      /input `max-builds-per-pod` shapes pods/,
    ],
    ['manifests', { ...tcp, render: 'true' }, /input `render` shapes pods/],
  ])('refuses %s', (_, raw, message) => {
    const found = problemsOf(raw);
    expect(found).toEqual([expect.stringMatching(message)]);
    expect(found[0]).not.toContain('hunter2');
  });

  it('refuses half a pair and what is no PEM text, without showing it', () => {
    const withoutKey = { ...variables, BUILDER_NODE_0_AUTH_TLS_KEY: '' };
    expect(problemsOf(tcp, world({ env: withoutKey }))).toEqual([
      expect.stringMatching(/a cert and no key.*`BUILDER_NODE_0_AUTH_TLS_KEY`/),
    ]);
    const path = { ...variables, BUILDER_NODE_0_AUTH_TLS_CACERT: '/hunter2.pem' };
    const found = problemsOf(tcp, world({ env: path }));
    expect(found).toEqual([
      expect.stringMatching(/`BUILDER_NODE_0_AUTH_TLS_CACERT` is not PEM text/),
    ]);
    expect(found[0]).not.toContain('hunter2');
  });
});
