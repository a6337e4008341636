import { describe, expect, it } from '@jest/globals';
import {
  canonicalRegistryHost,
  credentialHosts,
  dockerConfigKey,
  entryOfHost,
} from '../../../src/credentials/registry-host.ts';

describe('canonicalRegistryHost', () => {
  it.each([
    ['https://index.docker.io/v1/', 'docker.io'],
    ['index.docker.io', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['docker.io', 'docker.io'],
    ['GHCR.io', 'ghcr.io'],
    ['https://ghcr.io/v2/', 'ghcr.io'],
    ['http://localhost:5000', 'localhost:5000'],
    ['[::1]:5000', '[::1]:5000'],
    ['docker.io.example.com', 'docker.io.example.com'],
  ])('makes %s into %s', (name, host) => {
    expect(canonicalRegistryHost(name)).toBe(host);
  });
});

describe('dockerConfigKey', () => {
  it('is an address for Docker Hub and the host for all others', () => {
    expect(dockerConfigKey('registry-1.docker.io')).toBe('https://index.docker.io/v1/');
    expect(dockerConfigKey('localhost:5000')).toBe('localhost:5000');
  });
});

describe('credentialHosts', () => {
  it('has Docker Hub as the last resort of registries that share its accounts', () => {
    expect(credentialHosts('dhi.io')).toEqual(['dhi.io', 'docker.io']);
    expect(credentialHosts('ghcr.io')).toEqual(['ghcr.io']);
  });
});

describe('entryOfHost', () => {
  it('prefers the key of docker to other names of the same registry', () => {
    const entries = { 'docker.io': 'alias', 'https://index.docker.io/v1/': 'key' };
    expect(entryOfHost(entries, 'registry-1.docker.io')).toBe('key');
  });

  it('finds addresses that old versions of docker wrote', () => {
    expect(entryOfHost({ 'https://registry.example:5000/v1/': 1 }, 'registry.example:5000')).toBe(
      1,
    );
  });

  it('tells ports apart', () => {
    expect(entryOfHost({ 'registry.example:5000': 1 }, 'registry.example')).toBeUndefined();
  });

  it('does not find what every object inherits', () => {
    expect(entryOfHost({}, 'constructor')).toBeUndefined();
  });
});
