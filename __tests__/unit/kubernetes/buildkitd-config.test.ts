import { describe, expect, it } from '@jest/globals';
import { parse } from 'smol-toml';
import {
  mergeRegistryConfig,
  parseDaemonConfig,
  renderDaemonConfig,
} from '../../../src/kubernetes/buildkitd-config.ts';

const host = {
  mirrors: [],
  http: false,
  insecure: false,
  ca: undefined,
  cert: undefined,
  key: undefined,
};

describe('parseDaemonConfig', () => {
  it('names origin, line and column of a mistake', () => {
    expect(() => parseDaemonConfig('debug = true\n[worker\n', 'buildkitd-config x.toml')).toThrow(
      /^buildkitd-config x\.toml, line 2, column \d+: /,
    );
  });
});

describe('mergeRegistryConfig', () => {
  it('adds to what the TOML has, and wins where both speak', () => {
    const toml = parseDaemonConfig(
      `debug = true
[registry."docker.io"]
  mirrors = ["old.example"]
  insecure = true
[registry."quay.io"]
  http = true
`,
      'test',
    );
    const merged = mergeRegistryConfig(toml, {
      'docker.io': { ...host, mirrors: ['new.example'] },
      'localhost:5000': { ...host, http: true },
    });
    expect(merged).toEqual({
      debug: true,
      registry: {
        'docker.io': { mirrors: ['new.example'], insecure: true },
        'quay.io': { http: true },
        'localhost:5000': { http: true },
      },
    });
  });

  it('leaves the given table as it was', () => {
    const toml = parseDaemonConfig('[registry."a"]\nhttp = true\n', 'test');
    mergeRegistryConfig(toml, { a: { ...host, insecure: true } });
    expect(toml).toEqual({ registry: { a: { http: true } } });
  });
});

describe('renderDaemonConfig', () => {
  const text = `
[worker.oci]
  max-parallelism = 4
[registry."localhost:5000"]
  ca = ["/one/ca.pem", "/two/ca.pem"]
  [[registry."localhost:5000".keypair]]
    key = "/k.pem"
    cert = "/c.pem"
    note = "kept"
[registry."localhost_5000"]
  ca = "/three/ca.pem"
`;

  it('moves certificates to where the daemon will have them', () => {
    const { toml, certificates } = renderDaemonConfig(parseDaemonConfig(text, 'test'), 'test');
    expect(parse(toml)).toEqual({
      worker: { oci: { 'max-parallelism': 4 } },
      registry: {
        'localhost:5000': {
          ca: [
            '/etc/buildkit/certs/localhost_5000/ca.pem',
            '/etc/buildkit/certs/localhost_5000/ca-2.pem',
          ],
          keypair: [
            {
              key: '/etc/buildkit/certs/localhost_5000/key.pem',
              cert: '/etc/buildkit/certs/localhost_5000/cert.pem',
              note: 'kept',
            },
          ],
        },
        // The folder of the other host is taken.
        localhost_5000: { ca: ['/etc/buildkit/certs/localhost_5000-2/ca.pem'] },
      },
    });
    expect(certificates.map(({ path, pathOrPem, secret }) => [path, pathOrPem, secret])).toEqual([
      ['certs/localhost_5000/ca.pem', '/one/ca.pem', false],
      ['certs/localhost_5000/ca-2.pem', '/two/ca.pem', false],
      ['certs/localhost_5000/key.pem', '/k.pem', true],
      ['certs/localhost_5000/cert.pem', '/c.pem', false],
      ['certs/localhost_5000-2/ca.pem', '/three/ca.pem', false],
    ]);
  });

  it.each([
    ['registry = 1', 'test: registry must be a table'],
    ['[registry]\na = "x"', 'test: registry."a" must be a table'],
    ['[registry.a]\nca = 5', 'test: registry."a".ca must be a list of paths'],
    ['[registry.a]\nca = [true]', 'test: registry."a".ca must be a path'],
    ['[registry.a]\nkeypair = [{ key = "k" }]', 'test: registry."a".keypair.cert must be a path'],
  ])('refuses %j', (wrong, message) => {
    expect(() => renderDaemonConfig(parseDaemonConfig(wrong, 'test'), 'test')).toThrow(message);
  });
});
