import { describe, expect, it } from '@jest/globals';
import type { BuildOptions } from '../../../src/options/options.ts';
import { frontendOf, withProxyArgs } from '../../../src/solve/frontend-attrs.ts';

const plain: BuildOptions = {
  contextPath: '/work/app',
  dockerfilePath: '/work/app/Dockerfile',
  target: undefined,
  buildArgs: {},
  labels: {},
  platforms: [],
  exporters: [],
  noCache: false,
  noCacheFilters: [],
  pull: false,
  network: 'default',
  addHosts: [],
  shmSizeBytes: undefined,
  ulimits: [],
  cgroupParent: undefined,
  entitlements: [],
  timeoutMs: undefined,
};
const attrsOf = (build: Partial<BuildOptions>): Readonly<Record<string, string>> =>
  frontendOf({ ...plain, ...build }).attrs;

describe('frontendOf', () => {
  it('names the Dockerfile and nothing else when nothing is asked for', () => {
    expect(frontendOf(plain)).toEqual({ name: 'dockerfile.v0', attrs: { filename: 'Dockerfile' } });
  });

  it('sends what buildx sends for every option', () => {
    expect(
      attrsOf({
        dockerfilePath: '/elsewhere/deploy/app.Dockerfile',
        target: 'release',
        buildArgs: { VERSION: '1=2', EMPTY: '', 'sp ace': ' x ' },
        labels: { 'org.example/a': 'b', none: '' },
        platforms: [
          { os: 'linux', architecture: 'amd64', variant: '' },
          { os: 'linux', architecture: 'arm', variant: 'v7' },
        ],
        noCacheFilters: ['base', 'release'],
        pull: true,
        network: 'none',
        addHosts: ['db=10.0.0.1', 'db6=::1'],
        shmSizeBytes: 64 * 1024 * 1024,
        ulimits: ['nofile=1024:2048', 'nproc=3:3'],
        cgroupParent: '/ci',
      }),
    ).toEqual({
      filename: 'app.Dockerfile',
      target: 'release',
      'build-arg:VERSION': '1=2',
      'build-arg:EMPTY': '',
      'build-arg:sp ace': ' x ',
      'label:org.example/a': 'b',
      'label:none': '',
      platform: 'linux/amd64,linux/arm/v7',
      'no-cache': 'base,release',
      'image-resolve-mode': 'pull',
      'force-network-mode': 'none',
      'add-hosts': 'db=10.0.0.1,db6=::1',
      'shm-size': '67108864',
      ulimit: 'nofile=1024:2048,nproc=3:3',
      'cgroup-parent': '/ci',
    });
  });

  it('turns the cache off for all stages with an empty value', () => {
    expect(attrsOf({ noCache: true })).toMatchObject({ 'no-cache': '' });
  });

  it('leaves out a size of shared memory that is not set', () => {
    expect(attrsOf({ shmSizeBytes: 0 })).toEqual({ filename: 'Dockerfile' });
  });

  it('writes large sizes without an exponent', () => {
    expect(attrsOf({ shmSizeBytes: 2 ** 40 })).toMatchObject({ 'shm-size': '1099511627776' });
  });

  it('lets an image be the frontend', () => {
    const { name, attrs } = frontendOf({
      ...plain,
      buildArgs: { BUILDKIT_SYNTAX: 'docker/dockerfile:1 --flag' },
    });
    expect(name).toBe('gateway.v0');
    expect(attrs).toMatchObject({
      source: 'docker/dockerfile:1',
      cmdline: 'docker/dockerfile:1 --flag',
      'build-arg:BUILDKIT_SYNTAX': 'docker/dockerfile:1 --flag',
    });
  });

  it.each([
    { value: '1', set: true },
    { value: 'True', set: true },
    { value: 'yes', set: false },
    { value: 'false', set: false },
    { value: '', set: false },
  ])('reads BUILDKIT_MULTI_PLATFORM=$value as Go does', ({ value, set }) => {
    const attrs = attrsOf({ buildArgs: { BUILDKIT_MULTI_PLATFORM: value } });
    expect(attrs['multi-platform']).toBe(set ? 'true' : undefined);
  });
});

describe('withProxyArgs', () => {
  const proxies = { httpProxy: 'http://p', noProxy: 'localhost', ftpProxy: '' };

  it('adds both cases of each proxy', () => {
    expect(withProxyArgs({ A: 'b' }, proxies)).toEqual({
      A: 'b',
      HTTP_PROXY: 'http://p',
      http_proxy: 'http://p',
      NO_PROXY: 'localhost',
      no_proxy: 'localhost',
    });
  });

  it('leaves alone what the user named, in any case', () => {
    const given = { Http_Proxy: 'mine', no_proxy: '' };
    expect(withProxyArgs(given, proxies)).toEqual(given);
  });

  it('adds nothing without proxies', () => {
    expect(withProxyArgs({ A: 'b' }, {})).toEqual({ A: 'b' });
  });
});
