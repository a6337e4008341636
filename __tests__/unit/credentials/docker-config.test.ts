import { describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  dockerConfigPath,
  parseDockerConfig,
  readDockerConfig,
} from '../../../src/credentials/docker-config.ts';
import { nullLogger } from '../../../src/shared/logger.ts';

function parse(config: unknown): {
  config: ReturnType<typeof parseDockerConfig>;
  warnings: string[];
} {
  const warnings: string[] = [];
  const logger = { ...nullLogger, warning: (message: string) => void warnings.push(message) };
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  return { config: parseDockerConfig(text, { source: 'test config', logger }), warnings };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('parseDockerConfig', () => {
  it.each<[string, unknown, unknown]>([
    ['auth', { auth: base64('ann:s3cret') }, { username: 'ann', password: 's3cret' }],
    ['auth with colons', { auth: base64('ann:a:b:c') }, { username: 'ann', password: 'a:b:c' }],
    ['auth ending in NUL', { auth: base64('ann:pw\0\0') }, { username: 'ann', password: 'pw' }],
    [
      'auth with UTF-8',
      { auth: base64('änn:pässword') },
      { username: 'änn', password: 'pässword' },
    ],
    ['plain fields', { username: 'ann', password: 'pw' }, { username: 'ann', password: 'pw' }],
    [
      'an identity token beside a user without password',
      { auth: base64('00000000-0000:'), identitytoken: 'refresh' },
      { username: '00000000-0000', identityToken: 'refresh' },
    ],
    ['a registry token', { registrytoken: 'bearer' }, { registryToken: 'bearer' }],
  ])('reads %s', (_name, entry, expected) => {
    const { config, warnings } = parse({ auths: { 'registry.example': entry } });
    expect(config.auths).toEqual({ 'registry.example': expected });
    expect(warnings).toEqual([]);
  });

  it('leaves out the empty entries that stores leave behind', () => {
    const { config, warnings } = parse({ auths: { 'ghcr.io': {} }, credsStore: 'desktop' });
    expect(config).toEqual({ auths: {}, credHelpers: {}, credsStore: 'desktop', proxies: {} });
    expect(warnings).toEqual([]);
  });

  it('skips what is malformed, keeps the rest, and shows no secret', () => {
    const { config, warnings } = parse({
      auths: {
        'no-colon.example': { auth: base64('hunter2') },
        'number.example': { username: 'ann', password: 4711 },
        'text.example': 'hunter2',
        'good.example': { auth: base64('ann:pw') },
      },
      credHelpers: { 'a.example': 'ecr-login', 'b.example': 7 },
      credsStore: ['x'],
    });
    expect(config).toEqual({
      auths: { 'good.example': { username: 'ann', password: 'pw' } },
      credHelpers: { 'a.example': 'ecr-login' },
      credsStore: undefined,
      proxies: {},
    });
    expect(warnings).toEqual([
      'test config: auths of no-colon.example is not a valid entry; ignored',
      'test config: auths of number.example is not a valid entry; ignored',
      'test config: auths of text.example is not a valid entry; ignored',
      'test config: credHelpers of b.example is not a string; ignored',
      'test config: credsStore is not a string; ignored',
    ]);
  });

  it.each([
    ['cut off', '{"auths":{"ghcr.io":{"auth":"aHVudGVyMg=="'],
    ['an array', '["aHVudGVyMg=="]'],
    ['null', 'null'],
  ])('warns of a file that is %s without quoting it', (_name, text) => {
    const { config, warnings } = parse(text);
    expect(config).toEqual({ auths: {}, credHelpers: {}, credsStore: undefined, proxies: {} });
    expect(warnings).toEqual(['test config is not a JSON object; going on without it']);
  });

  it('takes an empty file as an empty config', () => {
    expect(parse(' \n').warnings).toEqual([]);
  });
});

describe('dockerConfigPath', () => {
  it.each([
    [{}, '/home/ann/.docker/config.json'],
    [{ DOCKER_CONFIG: '' }, '/home/ann/.docker/config.json'],
    [{ DOCKER_CONFIG: '/etc/docker-ci' }, '/etc/docker-ci/config.json'],
  ])('follows %j', (env, path) => {
    expect(dockerConfigPath(env, '/home/ann')).toBe(path);
  });
});

describe('readDockerConfig', () => {
  const empty = { auths: {}, credHelpers: {}, credsStore: undefined, proxies: {} };

  it('is silently empty when there is none, and warns of one that cannot be read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'docker-config-'));
    try {
      const warnings: string[] = [];
      const logger = { ...nullLogger, warning: (message: string) => void warnings.push(message) };
      expect(await readDockerConfig(join(folder, 'none', 'config.json'), logger)).toEqual(empty);
      writeFileSync(join(folder, 'file'), '');
      expect(await readDockerConfig(join(folder, 'file', 'config.json'), logger)).toEqual(empty);
      expect(warnings).toEqual([]);
      mkdirSync(join(folder, 'config.json'));
      expect(await readDockerConfig(join(folder, 'config.json'), logger)).toEqual(empty);
      expect(warnings).toEqual([
        `Docker config ${join(folder, 'config.json')} cannot be read (EISDIR); going on without it`,
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('proxies', () => {
  it('are those for all daemons, texts only', () => {
    const text = JSON.stringify({
      proxies: {
        default: { httpProxy: 'http://proxy:3128', noProxy: 'localhost', ftpProxy: 1 },
        'tcp://other:2375': { httpProxy: 'http://other' },
      },
    });
    expect(parseDockerConfig(text, { source: 'config.json', logger: nullLogger }).proxies).toEqual({
      httpProxy: 'http://proxy:3128',
      noProxy: 'localhost',
    });
  });
});
