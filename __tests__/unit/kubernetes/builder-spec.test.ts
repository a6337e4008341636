import { describe, expect, it } from '@jest/globals';
import { inMode } from '../../../src/kubernetes/builder-spec.ts';
import { specWith } from '../../helpers/builder-spec.ts';

const claim = {
  kind: 'claim',
  storage: '5Gi',
  storageClass: undefined,
  accessMode: 'ReadWriteOnce',
} as const;
const tls = { ca: 'a', cert: 'b', key: 'c', clientCert: 'd', clientKey: 'e' };

describe('the image', () => {
  it('is that of the mode', () => {
    expect(specWith().image).toBe('moby/buildkit:buildx-stable-1');
    expect(specWith({ driver: { mode: 'rootless' } }).image).toBe(
      'moby/buildkit:buildx-stable-1-rootless',
    );
    expect(specWith({ driver: { mode: 'userns' } }).image).toBe('moby/buildkit:buildx-stable-1');
  });

  it('is the one asked for in any mode', () => {
    expect(specWith({ driver: { mode: 'rootless', image: 'mine:1' } }).image).toBe('mine:1');
    expect(inMode(specWith({ driver: { image: 'mine:1' } }), 'rootless').image).toBe('mine:1');
  });
});

describe('the hash', () => {
  const hashOf = (changes: Parameters<typeof specWith>[0]) => specWith(changes).identity.specHash;
  const plain = hashOf({});

  it.each([
    ['the wait for pods', { driver: { timeoutMs: 1, timeoutIsExplicit: true } }],
    ['the choice of a pod', { driver: { loadBalance: 'random' } }],
    ['default-load', { driver: { defaultLoad: true } }],
    ['the default image, spelled out', { driver: { image: 'moby/buildkit:buildx-stable-1' } }],
    ['the job', { job: { jobId: 'another', runId: '43' } }],
  ] as const)('does not depend on %s', (_what, changes) => {
    expect(hashOf(changes)).toBe(plain);
  });

  it.each([
    ['replicas', { driver: { replicas: 2 } }],
    ['limits', { driver: { limits: { memory: '1Gi' } } }],
    ['a label', { driver: { labels: { team: 'a' } } }],
    ['the state volume', { driver: { stateVolume: claim } }],
    ['the mode', { driver: { mode: 'userns' } }],
    ['flags', { builder: { buildkitdFlags: ['--debug'] } }],
    ['a pod template', { builder: { podTemplate: { spec: { priorityClassName: 'x' } } } }],
    ['a file', { files: [{ path: 'buildkitd.toml', content: '', secret: false }] }],
  ] as const)('depends on %s', (_what, changes) => {
    expect(hashOf(changes)).not.toBe(plain);
  });

  it('of a shared builder depends neither on its name nor on its size', () => {
    const pool = hashOf({ builder: { name: 'a' } });
    expect(hashOf({ builder: { name: 'b' }, driver: { replicas: 3 } })).toBe(pool);
  });

  it('is that of `auto`, whatever that comes to', () => {
    const asked = specWith({ driver: { mode: 'auto' } });
    const resolved = inMode(asked, 'rootless');
    expect(resolved).toMatchObject({
      mode: 'rootless',
      image: 'moby/buildkit:buildx-stable-1-rootless',
      name: asked.name,
      identity: asked.identity,
    });
  });

  it('does not depend on keys that are made anew each time', () => {
    expect(hashOf({ tls })).toBe(plain);
    expect(specWith({ tls })).toMatchObject({ tls, name: specWith().name });
  });
});

describe('flags', () => {
  it('are those of the user, then the entitlements that these do not allow yet', () => {
    const { flags } = specWith({
      builder: {
        buildkitdFlags: ['--debug', '--allow-insecure-entitlement', 'security.insecure'],
        entitlements: ['network.host', 'security.insecure'],
      },
    });
    expect(flags).toEqual([
      '--debug',
      '--allow-insecure-entitlement',
      'security.insecure',
      '--allow-insecure-entitlement=network.host',
    ]);
  });
});

describe('the life of a builder', () => {
  it.each([
    [{}, { isShared: false, isPool: false, keepsState: false }],
    [{ name: 'p' }, { isShared: true, isPool: false, keepsState: false }],
    [
      { name: 'p', cleanup: false },
      { isShared: true, isPool: true, keepsState: false },
    ],
    [
      { name: 'p', keepState: true },
      { isShared: true, isPool: true, keepsState: true },
    ],
  ])('follows from %j', (builder, expected) => {
    expect(specWith({ builder })).toMatchObject(expected);
  });
});

describe('names', () => {
  it('are those asked for, and the platform', () => {
    const platforms = [{ os: 'linux', architecture: 'arm64', variant: 'v8' }];
    expect(specWith({ builder: { name: 'pool', platforms } })).toMatchObject({
      name: 'pool',
      workload: 'pool-linux-arm64-v8',
      tlsSecret: 'pool-linux-arm64-v8-tls',
    });
  });

  it('of a job are shorter where there are claims, since pods get a label with more in it', () => {
    const job = { repository: `${'o'.repeat(39)}/${'r'.repeat(90)}`, jobId: 'jjjjjjjj' };
    expect(specWith({ job }).name).toHaveLength(45);
    const { workload } = specWith({ job, driver: { stateVolume: claim } });
    expect(workload).toHaveLength(52);
  });

  it('that are too long for claims are refused with the length that fits', () => {
    const name = 'n'.repeat(38);
    const driver = { stateVolume: claim };
    expect(() => specWith({ builder: { name }, driver })).toThrow(
      expect.objectContaining({
        code: 'BUILDER_REFUSED',
        message: expect.stringContaining('may have 37') as unknown,
      }),
    );
    expect(specWith({ builder: { name: name.slice(1) }, driver }).workload).toHaveLength(52);
  });
});

it('tells what is wrong with a pod template before there is any manifest', () => {
  const podTemplate = { spec: { restartPolicy: 'Never' } };
  expect(() => specWith({ builder: { podTemplate } })).toThrow(
    expect.objectContaining({ code: 'POD_TEMPLATE_INVALID' }),
  );
});

it('refuses several platforms', () => {
  const platform = { os: 'linux', architecture: 'amd64', variant: '' };
  expect(() => specWith({ builder: { platforms: [platform, platform] } })).toThrow(
    expect.objectContaining({ code: 'BUILDER_REFUSED' }),
  );
});
