import { describe, expect, it } from '@jest/globals';

import type { BuilderOptions } from '../../../src/options/options.ts';
import type { World } from '../../../src/options/world.ts';
import { files, parseOptions, problemsOf, world } from './parse-inputs.ts';

type Inputs = Readonly<Record<string, string>>;

const builderOf = (raw: Inputs, facts?: World): BuilderOptions => parseOptions(raw, facts).builder;

/** A world with a few files. */
function withFiles(texts: Readonly<Record<string, string>>, changes: Partial<World> = {}): World {
  const kinds = Object.fromEntries(Object.keys(texts).map((path) => [path, 'file' as const]));
  return world({ readText: (path) => texts[path], ...changes }, { ...files, ...kinds });
}

describe('the inputs of a builder', () => {
  it('are read', () => {
    expect(
      builderOf({
        name: 'pool-1',
        cleanup: 'false',
        'affinity-key': 'monorepo',
        'max-builds-per-pod': '4',
        'queue-timeout': '1h',
        connection: 'port-forward',
        'buildkitd-flags': '--debug',
      }),
    ).toMatchObject({
      name: 'pool-1',
      mustExist: false,
      cleanup: false,
      keepState: false,
      affinityKey: 'monorepo',
      maxBuildsPerPod: 4,
      queueTimeoutMs: 3_600_000,
      connection: 'port-forward',
      buildkitdFlags: ['--debug'],
    });
    expect(parseOptions({ retries: '0', render: 'true' })).toMatchObject({
      retries: 0,
      render: true,
    });
  });

  it('must exist when they are named by `builder`', () => {
    expect(builderOf({ builder: 'pool' })).toMatchObject({ name: 'pool', mustExist: true });
    expect(builderOf({ builder: 'pool', name: 'pool' })).toMatchObject({ mustExist: true });
  });

  it('keep state in a claim, and say when there is none', () => {
    const claim = 'persistent-volume-claim.requests.storage=1Gi';
    const kept = parseOptions({
      name: 'a',
      'keep-state': 'true',
      'driver-opts': claim,
      push: 'true',
      tags: 'a',
    });
    expect(kept.builder.keepState).toBe(true);
    expect(kept.warnings).toEqual([]);
    expect(
      parseOptions({ name: 'a', 'keep-state': 'true', cleanup: 'false' }).warnings,
    ).toContainEqual(expect.stringContaining('`keep-state` is of no effect'));
    expect(parseOptions({ name: 'a', 'keep-state': 'true' }).warnings).toContainEqual(
      expect.stringContaining('`keep-state` keeps no cache'),
    );
  });

  it.each<[string, Inputs, RegExp]>([
    ['two names', { name: 'a', builder: 'b' }, /^INPUT_CONTRADICTION: .*`name` and `builder`/],
    [
      'upper case',
      { name: 'My_Pool' },
      /`name`: `My_Pool` is not a name of a builder.*Write `my-pool`/,
    ],
    ['dots', { builder: 'a.b' }, /`builder`: `a.b` is not.*Write `a-b`/],
    ['a dash at the end', { name: 'a-' }, /Write `a`/],
    ['a path', { name: '../../etc' }, /Write `etc`/],
    ['46 characters', { name: 'a'.repeat(46) }, /at most 45.*Write `a{45}`/],
    ['no letter at all', { name: '???' }, /^[^|]*$/],
    ['state of no name', { 'keep-state': 'true' }, /^INPUT_CONTRADICTION: .*`keep-state`.*`name`/],
    ['half a build', { 'max-builds-per-pod': '1.5' }, /`max-builds-per-pod`: `1.5` is not a count/],
    [
      'less than no retry',
      { retries: '-1' },
      /`retries`: `-1` is not a count; expected a whole number/,
    ],
    ['a queue of no unit', { 'queue-timeout': '30' }, /`queue-timeout`: `30` is not a duration/],
    ['an eternal queue', { 'queue-timeout': '1000h' }, /longer than 596h/],
    ['a connection', { connection: 'portforward' }, /Did you mean `port-forward`\?/],
    [
      'an open quote',
      { 'buildkitd-flags': '--debug "' },
      /`buildkitd-flags`: has a quote that is never closed/,
    ],
    [
      'an address',
      { 'buildkitd-flags': '--addr tcp://0.0.0.0:1234' },
      /CONTRADICTION: .*`--addr` is set by this action/,
    ],
    ['one dash', { 'buildkitd-flags': '-tlskey=/x' }, /`--tlskey` is set by this action/],
    [
      'no entitlement',
      { 'buildkitd-flags': '--allow-insecure-entitlement' },
      /says no entitlement/,
    ],
    [
      'a flag for an entitlement',
      { 'buildkitd-flags': '--allow-insecure-entitlement --debug' },
      /says no entitlement/,
    ],
    ['a bad boolean', { cleanup: '' }, /`cleanup`: `` is not a boolean/],
  ])('refuse %s', (_, raw, message) => {
    expect(problemsOf(raw)).toEqual([expect.stringMatching(message)]);
  });

  it('tell all flags that are not theirs to set', () => {
    const flags = '--addr tcp://0.0.0.0:1234 --debug --config=/x --root /y';
    expect(problemsOf({ 'buildkitd-flags': flags })).toEqual([
      expect.stringMatching(/`--addr` is set by this action.*`connection`/),
      expect.stringMatching(/`--config` is set by this action.*`buildkitd-config`/),
      expect.stringMatching(/`--root` is set by this action.*`driver-opts`/),
    ]);
  });

  it('find entitlements anywhere among the flags', () => {
    expect(
      builderOf({
        network: 'host',
        'buildkitd-flags':
          '--debug --allow-insecure-entitlement security.insecure -allow-insecure-entitlement=network.host --x',
      }),
    ).toMatchObject({
      buildkitdFlags: ['--debug', '--x'],
      entitlements: ['network.host', 'security.insecure'],
    });
  });
});

describe('a pull request from a fork', () => {
  const fork = { isForkPullRequest: () => true };

  it.each(['name', 'builder'])('cannot use a builder by `%s`', (input) => {
    expect(problemsOf({ [input]: 'pool' }, world(fork))).toEqual([
      expect.stringMatching(/^INPUT_FORBIDDEN: .*`pool`, which others share.*Leave/),
    ]);
  });

  it('has builders of its own', () => {
    expect(builderOf({}, world(fork)).name).toBeUndefined();
    const facts = withFiles({ '/work/_temp/kube-buildx/kbx-app.json': '{}' }, fork);
    expect(builderOf({ builder: 'kbx-app' }, facts).name).toBe('kbx-app');
  });

  it('is only looked for when that matters', () => {
    const isForkPullRequest = (): boolean => {
      throw new Error('the payload was read');
    };
    expect(() => builderOf({}, world({ isForkPullRequest }))).not.toThrow();
  });
});

describe('pod-template', () => {
  const template = 'spec:\n  priorityClassName: low\n  hostUsers: no\n';

  it.each([
    ['YAML', template],
    ['YAML in one line', '{spec: {priorityClassName: low, hostUsers: false}}'],
    ['a pod', `apiVersion: v1\nkind: Pod\n${template}status: {}\n`],
    [
      'a pod template',
      '{kind: PodTemplate, template: {spec: {priorityClassName: low, hostUsers: no}}}',
    ],
    ['a template with empty parts', `metadata:\n${template}`],
    ['a document start', `# pods\n---\n${template}`],
  ])('may be %s', (_, text) => {
    expect(builderOf({ 'pod-template': text }).podTemplate).toEqual({
      spec: { priorityClassName: 'low', hostUsers: false },
    });
  });

  it('may be a file', () => {
    const facts = withFiles({ '/work/app/ci/pod.yaml': template });
    expect(builderOf({ 'pod-template': 'ci/pod.yaml' }, facts).podTemplate).toMatchObject({
      spec: { priorityClassName: 'low' },
    });
  });

  it('has the types that kubectl gives', () => {
    const text =
      'spec: {a: 0644, b: 1:30, c: 2026-01-02, d: "yes", e: on, f: ~, g: 1.50, h: !!str 1}';
    expect(builderOf({ 'pod-template': text }).podTemplate).toEqual({
      spec: { a: 420, b: '1:30', c: '2026-01-02', d: 'yes', e: true, f: null, g: 1.5, h: '1' },
    });
  });

  it('may use anchors and merge keys', () => {
    const text = 'metadata:\n  labels: &l {a: b}\n  annotations:\n    <<: *l\n    c: d\nspec: {}';
    expect(builderOf({ 'pod-template': text }).podTemplate).toEqual({
      metadata: { labels: { a: 'b' }, annotations: { a: 'b', c: 'd' } },
      spec: {},
    });
  });

  it.each([
    ['a list', '- spec: {}\n- x', /is not a map/],
    [
      'a missing file',
      'pod.yaml',
      /`pod.yaml` is neither YAML nor a file.*looked at \/work\/app\/pod.yaml/,
    ],
    ['broken YAML', 'spec: {\n', /not valid YAML/],
    ['equal keys', 'spec: {}\nspec: {}', /not valid YAML \(line 2\)/],
    ['two documents', 'spec: {}\n---\nspec: {}', /has several documents/],
    [
      'a deployment',
      'kind: Deployment\nspec: {}',
      /the kind `Deployment`.*below its `spec.template`/,
    ],
    ['a bare spec', 'containers: []\n', /unknown key `containers`.*below `spec`/],
    ['a typo', 'sepc: {}\n', /unknown key `sepc`.*Did you mean `spec`/],
    ['a spec of text', 'spec: hello\n', /has a `spec` that is not a map/],
    ['a loop', 'spec: &a {b: *a}\n', /aliases that cannot be resolved/],
  ])('refuses %s', (_, text, message) => {
    const found = problemsOf({ 'pod-template': text });
    expect(found).toEqual([expect.stringMatching(message)]);
    expect(found[0]).toContain('`pod-template`');
  });

  it('shows nothing of a text that may hold secrets', () => {
    expect(problemsOf({ 'pod-template': 'spec:\n  hunter2: [' }).join()).not.toContain('hunter2');
  });
});
