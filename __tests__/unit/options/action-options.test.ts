import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseActionOptions } from '../../../src/options/action-options.ts';
import { InputError } from '../../../src/options/errors.ts';
import { inputsNotSupportedYet } from '../../../src/options/not-supported-yet.ts';
import { files, inputErrorOf, inputs, parseOptions, problemsOf, world } from './parse-inputs.ts';

const arm64 = { os: 'linux', architecture: 'arm64', variant: '' };

describe('parseActionOptions', () => {
  it('has defaults for everything', () => {
    expect(parseOptions({})).toEqual({
      builder: {
        name: undefined,
        mustExist: false,
        cleanup: true,
        keepState: false,
        remote: undefined,
        affinityKey: undefined,
        maxBuildsPerPod: 0,
        queueTimeoutMs: 1_800_000,
        buildkitdFlags: [],
        podTemplate: undefined,
        kubeconfig: undefined,
        kubeContext: undefined,
        connection: 'auto',
        driver: {
          namespace: undefined,
          image: undefined,
          imagePullPolicy: undefined,
          imagePullSecrets: [],
          replicas: 1,
          mode: 'privileged',
          requests: { cpu: '250m', memory: '512Mi' },
          limits: {},
          stateVolume: { kind: 'empty-dir' },
          nodeSelector: {},
          tolerations: [],
          serviceAccount: undefined,
          schedulerName: undefined,
          annotations: {},
          labels: {},
          env: {},
          qemuImage: undefined,
          loadBalance: 'sticky',
          defaultLoad: false,
          timeoutMs: 120_000,
          timeoutIsExplicit: false,
          drainTimeoutMs: undefined,
        },
        platforms: [],
        runnerPlatform: { os: 'linux', architecture: 'amd64', variant: '' },
        buildkitdConfig: undefined,
        buildkitdConfigInline: undefined,
        registryConfig: {},
        entitlements: [],
        maxLifetimeMs: 6 * 3_600_000,
      },
      append: [],
      render: false,
      retries: 2,
      build: {
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
      },
      registryAuth: {},
      contextReason: expect.stringContaining('workspace'),
      notices: [],
      warnings: [expect.stringContaining('build cache')],
      secrets: [],
    });
  });

  it('reads a whole workflow', () => {
    const options = parseOptions({
      target: ' prod ',
      tags: 'ghcr.io/acme/app:1',
      push: 'true',
      platforms: 'linux/aarch64',
      'no-cache-filters': 'a, b',
      pull: 'TRUE',
      network: 'host',
      'add-hosts': 'a=10.0.0.1,b:[::1]',
      'shm-size': '1g',
      ulimit: 'nproc=5\nnofile=1:2\nnproc=7',
      'cgroup-parent': '/ci',
      timeout: '1h30m',
      'max-lifetime': '30m',
      'kube-context': 'prod',
      connection: 'exec',
      'registry-auth': 'ghcr.io: {username: me, password: hunter2}',
    });
    expect(options.build).toMatchObject({
      target: 'prod',
      platforms: [arm64],
      exporters: [{ type: 'image', attrs: { name: 'ghcr.io/acme/app:1', push: 'true' } }],
      noCache: false,
      noCacheFilters: ['a', 'b'],
      pull: true,
      network: 'host',
      addHosts: ['a=10.0.0.1', 'b=::1'],
      shmSizeBytes: 1024 ** 3,
      ulimits: ['nofile=1:2', 'nproc=7:7'],
      cgroupParent: '/ci',
      entitlements: ['network.host'],
      timeoutMs: 5_400_000,
    });
    expect(options.builder).toMatchObject({
      platforms: [arm64],
      entitlements: ['network.host'],
      kubeContext: 'prod',
      connection: 'exec',
      maxLifetimeMs: 1_800_000,
    });
    expect(options.secrets).toEqual(['hunter2']);
  });

  it('reports all that is wrong at once', () => {
    const error = inputErrorOf(() =>
      parseOptions({
        'driver-opts': 'requests.memory=12Gb,replica=2',
        tags: 'not a reference!',
        context: 'no-such-folder',
        push: 'yes',
        secrets: 'a=b',
        timeout: 'soon',
      }),
    );
    expect(error.code).toBe('INPUTS_INVALID');
    expect(error.message).toBe('7 problems with the inputs; nothing was created');
    const messages = error.problems.map(({ message }) => message).join('\n');
    for (const text of ['12Gb', 'replica', 'not a reference!', 'no-such-folder', '`yes`', 'soon']) {
      expect(messages).toContain(text);
    }
  });

  it('throws a single problem as it is', () => {
    const error = inputErrorOf(() => parseOptions({ network: 'bridge' }));
    expect(error.code).toBe('INPUT_INVALID');
    expect(error.problems).toEqual([error]);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'cache switched off twice',
      { 'no-cache': 'true', 'no-cache-filters': 'a' },
      /^INPUT_CONTRADICTION: .*`no-cache` and `no-cache-filters`/,
    ],
    [
      'two configurations',
      { 'buildkitd-config': 'Dockerfile', 'buildkitd-config-inline': 'debug = true' },
      /^INPUT_CONTRADICTION: .*`buildkitd-config` and `buildkitd-config-inline`/,
    ],
    [
      'an alias with another value',
      { 'config-inline': 'a = 1', 'buildkitd-config-inline': 'a = 2' },
      /^INPUT_CONTRADICTION: .*`config-inline`/,
    ],
    [
      'a missing configuration',
      { config: 'no.toml' },
      /`no.toml` is not a file.*\/work\/app\/no.toml/,
    ],
    ['an empty boolean', { pull: '' }, /`pull`: `` is not a boolean.*\|\| false/],
    ['a Go boolean', { push: '1' }, /`push`: `1` is not a boolean; expected true or false/],
    ['another driver', { driver: 'docker-container' }, /expected kubernetes or remote/],
    ['an unknown connection', { connection: 'ssh' }, /expected auto, exec, port-forward or direct/],
    [
      'two platforms',
      { platforms: 'linux/amd64,linux/arm64' },
      /UNSUPPORTED.*more than one platform/,
    ],
    [
      'another system',
      { platforms: 'windows/amd64' },
      /UNSUPPORTED.*`windows` is not supported yet/,
    ],
    ['a lifetime of no unit', { 'max-lifetime': '6' }, /`max-lifetime`: `6` is not a lifetime/],
    ['a short lifetime', { 'max-lifetime': '5ms' }, /at least 1s/],
    ['a long timeout', { timeout: '1000h' }, /`timeout`: `1000h` is longer than 596h/],
    ['an open quote', { tags: '"a' }, /`tags`: has a quote that is never closed/],
  ])('refuses %s', (_, raw, message) => {
    const found = problemsOf(raw);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('takes the same platform twice for one', () => {
    expect(parseOptions({ platforms: 'linux/arm64,linux/arm64/v8' }).build.platforms).toEqual([
      arm64,
    ]);
  });

  it('honours DOCKER_DEFAULT_PLATFORM when no platform is given', () => {
    const facts = world({ env: { DOCKER_DEFAULT_PLATFORM: 'linux/arm64' } });
    expect(parseOptions({}, facts).build.platforms).toEqual([arm64]);
    expect(parseOptions({ platforms: 'linux/386' }, facts).build.platforms).toEqual([
      { os: 'linux', architecture: '386', variant: '' },
    ]);
    expect(problemsOf({}, world({ env: { DOCKER_DEFAULT_PLATFORM: 'amd65' } }))).toEqual([
      expect.stringContaining('DOCKER_DEFAULT_PLATFORM'),
    ]);
  });

  it('takes old names and says so, and says once what has no meaning', () => {
    const facts = world({}, { ...files, '/work/app/buildkitd.toml': 'file' });
    const options = parseOptions(
      {
        config: 'buildkitd.toml',
        use: 'true',
        version: 'latest',
        install: '',
        'cache-binary': 'x',
      },
      facts,
    );
    expect(options.builder.buildkitdConfig).toBe('/work/app/buildkitd.toml');
    expect(options.notices).toEqual([
      'Ignored, because this action needs no buildx: `cache-binary`, `use`, `version`.',
      'Input `config` is an old name of `buildkitd-config`.',
    ]);
    expect(parseOptions({ 'config-inline': 'debug = true' }).builder.buildkitdConfigInline).toBe(
      'debug = true',
    );
  });
});

describe('what is not supported yet', () => {
  it.each(
    [...inputsNotSupportedYet].map(([name, awaited]) => ({ name, default: awaited.default })),
  )('refuses $name with another value than its default', ({ name, default: value }) => {
    const other = value === 'true' ? 'false' : value === 'false' ? 'true' : 'type=hunter2';
    const found = problemsOf({ [name]: other });
    expect(found).toEqual([
      expect.stringMatching(
        new RegExp(`^INPUT_UNSUPPORTED: input \`${name}\` is not supported yet`),
      ),
    ]);
    expect(found[0]).not.toContain('hunter2');
    expect(() => parseOptions({ [name]: value })).not.toThrow();
  });

  it.each(['provenance', 'sbom'])('accepts %s switched off', (name) => {
    expect(() => parseOptions({ [name]: 'false' })).not.toThrow();
    expect(problemsOf({ [name]: 'true' })).toHaveLength(1);
    expect(problemsOf({ [name]: 'mode=max' })).toHaveLength(1);
  });

  it('reports a bad boolean once', () => {
    expect(problemsOf({ load: 'yes' })).toEqual([expect.stringContaining('is not a boolean')]);
  });

  it('does not ignore variables that change a build', () => {
    expect(problemsOf({}, world({ env: { BUILDX_GIT_LABELS: 'full' } }))).toEqual([
      expect.stringContaining('environment variable `BUILDX_GIT_LABELS` is not supported yet'),
    ]);
    expect(() => parseOptions({}, world({ env: { BUILDX_GIT_LABELS: '0' } }))).not.toThrow();
  });
});

describe('any inputs', () => {
  const names = Object.keys(inputs());
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'true',
      'false',
      'a=b',
      '"',
      'x: y',
      '{',
      '-1',
      '\n',
      'type=image',
      '__proto__',
    ),
  );

  it('are parsed, or refused with errors that name an input', () => {
    const quoted = /`(?:[a-z-]+|BUILDX_\w+)`|Dockerfile|driver option/;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (raw) => {
        try {
          parseActionOptions(inputs(raw), world());
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          for (const { message } of (error as InputError).problems) {
            expect(message).toMatch(quoted);
            expect(message).not.toMatch(/[\r\n]/);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('of YAML are parsed, or refused with one line each', () => {
    const keys = ['platforms', 'driver-opts', 'endpoint', 'pod-template', 'spec', 'kind', 'a\n- b'];
    const leaf = fc.oneof(
      fc.constantFrom('linux/arm64', 'replicas=0', 'tcp://a:1', 'Pod', 'a\nb: c', '', '~', '&a'),
      fc.string({ maxLength: 6 }),
      fc.integer(),
      fc.constant(null),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.constantFrom('append', 'pod-template', 'driver-opts'), tree, (name, value) => {
        try {
          parseActionOptions(inputs({ [name]: JSON.stringify(value) }), world());
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          for (const { message, hint = '' } of (error as InputError).problems) {
            expect(message).toMatch(/append|pod-template|driver-opts|driver option/);
            expect(message + hint).not.toMatch(/[\r\n]/);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('say nothing of what is not built where manifests are rendered', () => {
    expect(parseOptions({}).warnings).toEqual([expect.stringContaining('No output is set')]);
    expect(parseOptions({ render: 'true' }).warnings).toEqual([]);
    expect(problemsOf({ render: 'true', builder: 'x' })).toEqual([
      expect.stringMatching(/^INPUT_CONTRADICTION: inputs `render` and `builder` are both set/),
    ]);
  });

  it('keep the values of secret inputs out of every message', () => {
    const secret = 'hunter2hunter2';
    const secretInputs = [
      'registry-auth',
      'secrets',
      'build-args',
      'kubeconfig',
      'github-token',
      'labels',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...secretInputs),
        fc.string({ unit: fc.constantFrom('=', ':', '"', ',', '\n', ' ', '{', 'a'), maxLength: 8 }),
        (name, noise) => {
          try {
            parseActionOptions(inputs({ [name]: `${noise}=${secret}`, network: 'x' }), world());
            throw new Error('the network was accepted');
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
            for (const { message, hint } of (error as InputError).problems) {
              expect(`${message} ${hint ?? ''}`).not.toContain(secret);
            }
          }
        },
      ),
    );
  });
});
