import { describe, expect, it } from '@jest/globals';

import { covers, nodeForPlatforms } from '../../../src/options/builder-node.ts';
import type { ActionOptions, BuilderOptions } from '../../../src/options/options.ts';
import { formatPlatform, parsePlatform } from '../../../src/options/platforms.ts';
import { parseOptions, problemsOf, world } from './parse-inputs.ts';

type Inputs = Readonly<Record<string, string>>;

const runner = { os: 'linux', architecture: 'amd64', variant: '' };
const platform = (text: string) => parsePlatform('platforms', text, runner);
const appended = (raw: Inputs): readonly BuilderOptions[] => parseOptions(raw).append;
const platformsOf = ({ platforms }: BuilderOptions): string[] => platforms.map(formatPlatform);

describe('append', () => {
  it('makes whole nodes of what items say and the first has', () => {
    const raw = {
      name: 'pool',
      'driver-opts': 'namespace=ci\nreplicas=3\nnodeselector=pool=x86\nenv.A=1',
      'buildkitd-flags': '--debug',
      'kube-context': 'east',
      network: 'host',
      append: `
- name: arm
  platforms: linux/arm64
  driver-opts:
    - replicas=1
    - '"nodeselector=pool=arm,disk=ssd"'
  buildkitd-flags: --allow-insecure-entitlement security.insecure
- platforms: [linux/s390x]
  driver-opts: {requests: {cpu: 4}, env: {B: 2}}
  kube-context: west
  pod-template:
    spec: {hostUsers: no}
`,
    };
    const { builder, append } = parseOptions(raw);
    const [arm, s390x] = append;
    expect(arm).toEqual({
      ...builder,
      platforms: [platform('linux/arm64')],
      driver: { ...builder.driver, replicas: 1, nodeSelector: { pool: 'arm', disk: 'ssd' } },
      buildkitdFlags: [],
      entitlements: ['network.host', 'security.insecure'],
    });
    expect(s390x).toEqual({
      ...builder,
      platforms: [platform('linux/s390x')],
      driver: {
        ...builder.driver,
        requests: { ...builder.driver.requests, cpu: '4' },
        env: { A: '1', B: '2' },
      },
      kubeContext: 'west',
      podTemplate: { spec: { hostUsers: false } },
    });
  });

  it('takes no context of another kubeconfig', () => {
    const [node] = appended({
      kubeconfig: 'a',
      'kube-context': 'east',
      append: '[{platforms: linux/arm64, kubeconfig: b}]',
    });
    expect(node).toMatchObject({ kubeconfig: 'b', kubeContext: undefined });
  });

  it('may name daemons that exist, with certificates by number', () => {
    const key = '-----BEGIN KEY-----';
    const env = { BUILDER_NODE_2_AUTH_TLS_CERT: key, BUILDER_NODE_2_AUTH_TLS_KEY: key };
    const append = `
- {platforms: linux/arm64, driver-opts: replicas=2}
- {platforms: linux/s390x, endpoint: "tcp://z:1", driver-opts: [timeout=5s]}`;
    const options = parseOptions({ append }, world({ env }));
    expect(options.append[0]?.remote).toBeUndefined();
    expect(options.append[1]).toMatchObject({
      remote: { url: 'tcp://z:1', tls: { key } },
      driver: { timeoutMs: 5000, replicas: 1 },
    });
    expect(options.secrets).toEqual([key]);
  });

  it.each<[string, string, RegExp]>([
    ['no list', 'platforms: linux/arm64', /`append`: is not a list; expected a YAML list/],
    ['no map', '[linux/arm64]', /^INPUT_INVALID: input `append`: item 1 is not a map/],
    ['broken YAML', '- {', /not valid YAML/],
    ['no platform', '- name: arm', /: input `append`: item 1 \(`arm`\) has no `platforms`/],
    [
      'a bad platform',
      '- platforms: linux/arm65',
      /: input `append`: item 1: `linux\/arm65` has the unknown architecture `arm65`/,
    ],
    ['two platforms', '- platforms: linux/arm64,linux/arm/v7', /item 1:? .*more than one platform/],
    ['platforms of a map', '- platforms: {a: b}', /a map of `platforms`/],
    ['nested platforms', '- platforms: [[linux/arm64]]', /`platforms` that are no texts/],
    [
      'one platform twice',
      '- platforms: linux/arm64\n- platforms: linux/arm64/v8',
      /^INPUT_CONTRADICTION: .*item 2 has the platform `linux\/arm64` of item 1/,
    ],
    [
      'an unknown key',
      '- platforms: linux/arm64\n  platform: x',
      /item 1 has the unknown key `platform`.*Did you mean `platforms`/,
    ],
    [
      'a bad driver option',
      '- platforms: linux/arm64\n- {platforms: linux/386, driver-opts: [replicas=0]}',
      /`append`: item 2: input `driver-opts`: `replicas=0` is not a number of pods/,
    ],
    [
      'a name of a list',
      '- {platforms: linux/arm64, kube-context: [a]}',
      /`kube-context` that is not a text/,
    ],
    [
      'a pod template',
      '- {platforms: linux/arm64, pod-template: {sepc: {}}}',
      /item 1: input `pod-template`: has the unknown key `sepc`/,
    ],
    [
      'pods at an endpoint',
      '- {platforms: linux/arm64, endpoint: "tcp://a:1", kube-context: x}',
      /^INPUT_CONTRADICTION: .*item 1: `kube-context` shapes pods/,
    ],
  ])('refuses %s', (_, append, message) => {
    expect(problemsOf({ append })).toEqual([expect.stringMatching(message)]);
  });

  it('refuses pods beside a remote first node', () => {
    const raw = {
      driver: 'remote',
      endpoint: 'tcp://a:1',
      append: '- platforms: linux/arm64',
    };
    expect(problemsOf(raw)).toEqual([expect.stringMatching(/item 1 has no `endpoint`/)]);
  });

  it('reports the problems of all items', () => {
    const append = '- {platforms: x/y, driver-opts: [replicas=0, a=b]}\n- {}';
    expect(problemsOf({ append })).toHaveLength(4);
  });
});

describe('nodeForPlatforms', () => {
  const append = '- platforms: linux/arm64\n- platforms: linux/amd64/v3';
  const chosen = (raw: Inputs): { node: string[]; first: string[] } => {
    const options: ActionOptions = parseOptions({ append, ...raw });
    return { node: platformsOf(nodeForPlatforms(options)), first: platformsOf(options.builder) };
  };

  it.each<[string, { node: string[]; first: string[] }]>([
    ['', { node: [], first: [] }],
    ['linux/arm64', { node: ['linux/arm64'], first: [] }],
    ['linux/amd64/v3', { node: ['linux/amd64/v3'], first: [] }],
    ['linux/amd64', { node: ['linux/amd64/v3'], first: [] }],
    ['linux/386', { node: ['linux/amd64/v3'], first: [] }],
    ['linux/arm/v7', { node: ['linux/arm64'], first: [] }],
    ['linux/amd64/v4', { node: ['linux/amd64/v4'], first: ['linux/amd64/v4'] }],
    ['linux/s390x', { node: ['linux/s390x'], first: ['linux/s390x'] }],
  ])('for %j', (platforms, expected) => {
    expect(chosen({ platforms })).toEqual(expected);
  });

  it.each([
    ['linux/arm64', 'linux/arm/v8', true],
    ['linux/arm64', 'linux/arm64/v9', false],
    ['linux/arm64/v9', 'linux/arm64', true],
    ['linux/arm/v7', 'linux/arm/v5', true],
    ['linux/arm/v6', 'linux/arm/v7', false],
    ['linux/arm/v7', 'linux/arm64', false],
    ['linux/386', 'linux/amd64', false],
    ['linux/amd64/v2', 'linux/amd64', true],
    ['linux/riscv64', 'linux/riscv64', true],
    ['linux/mips64le', 'linux/mipsle', false],
    ['freebsd/amd64', 'linux/amd64', false],
  ])('%s runs %s: %s', (declared, wanted, expected) => {
    expect(covers(platform(declared), platform(wanted))).toBe(expected);
  });
});
