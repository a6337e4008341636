import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { parseSetupOptions, type SetupOptions } from '../../../src/options/setup-options.ts';
import type { RawInputs } from '../../../src/options/world.ts';
import { inputErrorOf, parseOptions, world } from './parse-inputs.ts';

const { inputs: declared } = parse(
  readFileSync(join(import.meta.dirname, '..', '..', '..', 'setup', 'action.yml'), 'utf8'),
) as { inputs: Record<string, { default?: string }> };
const defaults = Object.fromEntries(
  Object.entries(declared).map(([name, input]) => [name, input.default ?? '']),
);

function parseSetup(changes: RawInputs, env: Record<string, string> = {}): SetupOptions {
  return parseSetupOptions({ ...defaults, ...changes }, world({ env }));
}

describe('parseSetupOptions', () => {
  it('has the builder of the root action for no input at all', () => {
    const { builder } = parseOptions({});
    expect(parseSetup({})).toEqual({
      builder,
      append: [],
      render: false,
      notices: [],
      warnings: [],
      secrets: [],
    });
  });

  it('reads what shapes a builder', () => {
    const options = parseSetup({
      name: 'pool',
      cleanup: 'false',
      'driver-opts': 'replicas=2',
      'buildkitd-flags': '--allow-insecure-entitlement network.host',
      'registry-config': 'r.io: {cert: "-----BEGIN A", key: "-----BEGIN B"}',
      append: '- platforms: linux/arm64',
      use: 'true',
      render: 'true',
    });
    expect(options).toMatchObject({
      builder: {
        name: 'pool',
        cleanup: false,
        driver: { replicas: 2 },
        entitlements: ['network.host'],
      },
      append: [{ name: 'pool', platforms: [{ architecture: 'arm64' }], driver: { replicas: 2 } }],
      render: true,
      notices: [expect.stringContaining('`use`')],
      secrets: ['-----BEGIN B'],
    });
  });

  it('takes platforms for those of the first node, whatever builds ask for', () => {
    const env = { DOCKER_DEFAULT_PLATFORM: 'linux/s390x' };
    expect(parseSetup({}, env).builder.platforms).toEqual([]);
    expect(parseSetup({ platforms: 'linux/arm64' }, env).builder.platforms).toEqual([
      { os: 'linux', architecture: 'arm64', variant: '' },
    ]);
  });

  it.each<[string, RawInputs, RegExp]>([
    [
      'a platform of two nodes',
      { platforms: 'linux/arm64', append: '- platforms: linux/arm64' },
      /item 1 has the platform `linux\/arm64` of the first node/,
    ],
    ['several platforms', { platforms: 'linux/arm64,linux/amd64' }, /more than one platform/],
    ['state without a name', { 'keep-state': 'true' }, /`keep-state` is set, and `name` is not/],
    ['a bad driver option', { 'driver-opts': 'replica=1' }, /Did you mean `replicas`/],
  ])('refuses %s', (_, raw, message) => {
    const { message: text, hint } = inputErrorOf(() => parseSetup(raw));
    expect(`${text} ${hint ?? ''}`).toMatch(message);
  });

  it('reads nothing of a build', () => {
    expect(() =>
      parseSetup({ context: 'no-such-folder', push: 'maybe', builder: 'A' }),
    ).not.toThrow();
  });
});
