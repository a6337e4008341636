import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  createCredentialStore,
  type CredentialStore,
} from '../../../src/credentials/credential-store.ts';
import { parseDockerConfig } from '../../../src/credentials/docker-config.ts';
import { CredentialError } from '../../../src/credentials/errors.ts';
import type { RegistryAuth } from '../../../src/options/options.ts';
import { nullLogger } from '../../../src/shared/logger.ts';

const never = new AbortController().signal;
const path = process.env.PATH;

let folder: string;
let masked: string[];
let printed: jest.SpiedFunction<typeof process.stdout.write>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'credentials-'));
  masked = [];
  process.env.PATH = `${folder}${delimiter}${path ?? ''}`;
  printed = jest.spyOn(process.stdout, 'write');
});

afterEach(() => {
  process.env.PATH = path;
  jest.restoreAllMocks();
  jest.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** A store over a `config.json` with this content. */
function storeOf(
  config: unknown,
  more: { registryAuth?: RegistryAuth; env?: Record<string, string> } = {},
): CredentialStore {
  return createCredentialStore({
    registryAuth: more.registryAuth ?? {},
    env: more.env ?? {},
    dockerConfig: parseDockerConfig(config === undefined ? '' : JSON.stringify(config), {
      source: 'config.json',
      logger: nullLogger,
    }),
    logger: nullLogger,
    mask: (secret) => masked.push(secret),
  });
}

/** A helper that notes what it is asked and then runs `script`. */
function installHelper(name: string, script: string): { readonly calls: () => string[] } {
  const log = join(folder, `${name}.log`);
  const file = join(folder, `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\nserver=$(cat)\necho "$1 $server" >> '${log}'\n${script}\n`);
  chmodSync(file, 0o755);
  return {
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}

const auth = (user: string, password: string): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
});

async function errorOf(promise: Promise<unknown>): Promise<CredentialError> {
  const error: unknown = await promise.then(
    () => 'no error',
    (reason: unknown) => reason,
  );
  if (error instanceof CredentialError) return error;
  throw new Error(`expected a CredentialError, got ${String(error)}`);
}

describe('createCredentialStore', () => {
  it('says which helper failed, also when it ended before it was asked', async () => {
    installHelper('deaf', 'exit 3');
    writeFileSync(join(folder, 'docker-credential-deaf'), '#!/bin/sh\nexit 3\n');
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const error = await errorOf(storeOf({ credsStore: 'deaf' }).get('a.example', never));
      expect(error).toMatchObject({ code: 'CREDENTIAL_HELPER_FAILED' });
    }
  });

  it('has registry-auth win over DOCKER_AUTH_CONFIG, helpers and the file', async () => {
    const helper = installHelper('file', `echo '{"Username":"helper","Secret":"h"}'`);
    const all = { 'a.example': {}, 'b.example': {}, 'c.example': {}, 'd.example': {} };
    const hosts = Object.keys(all);
    const store = storeOf(
      {
        auths: Object.fromEntries(hosts.map((host) => [host, auth('file', 'f')])),
        credHelpers: { 'a.example': 'file', 'b.example': 'file', 'c.example': 'file' },
      },
      {
        registryAuth: { 'A.example': { username: 'input', password: 'i' } },
        env: {
          DOCKER_AUTH_CONFIG: JSON.stringify({
            auths: { 'a.example': auth('env', 'e'), 'b.example': auth('env', 'e') },
          }),
        },
      },
    );
    const users = await Promise.all(
      hosts.map(async (host) => (await store.get(host, never))?.username),
    );
    expect(users).toEqual(['input', 'env', 'helper', 'file']);
    expect(helper.calls()).toEqual(['get c.example']);
  });

  it('finds Docker Hub under each of its names', async () => {
    const store = storeOf({ auths: { 'https://index.docker.io/v1/': auth('ann', 'pw') } });
    for (const host of ['registry-1.docker.io', 'docker.io', 'index.docker.io', 'dhi.io']) {
      expect(await store.get(host, never)).toEqual({ username: 'ann', password: 'pw' });
    }
    expect(await store.get('ghcr.io', never)).toBeUndefined();
  });

  it('prefers an own entry of a registry that also takes those of Docker Hub', async () => {
    const store = storeOf({ auths: { 'docker.io': auth('hub', '1'), 'dhi.io': auth('own', '2') } });
    expect(await store.get('dhi.io', never)).toEqual({ username: 'own', password: '2' });
  });

  it('takes a token of registry-auth as it is, and an empty entry as none', async () => {
    const store = storeOf(
      { auths: { 'b.example': auth('file', 'f') } },
      {
        registryAuth: {
          'a.example': { token: 't0ken' },
          'b.example': { username: '', password: '' },
        },
      },
    );
    expect(await store.get('a.example', never)).toEqual({ registryToken: 't0ken' });
    expect(await store.get('b.example', never)).toEqual({ username: 'file', password: 'f' });
  });

  it('masks what it hands out and nothing else', async () => {
    const store = storeOf({
      auths: { 'a.example': auth('ann', 'pw1'), 'b.example': auth('bob', 'pw2') },
    });
    await store.get('a.example', never);
    expect(masked).toEqual(['pw1', auth('ann', 'pw1').auth]);
  });

  it('is empty without any source', async () => {
    expect(await storeOf(undefined).get('ghcr.io', never)).toBeUndefined();
  });

  it('does not wait for others once the signal fires', async () => {
    installHelper('slow', 'sleep 0.3');
    const store = storeOf({ credsStore: 'slow' });
    const stop = new AbortController();
    const first = store.get('a.example', stop.signal);
    const second = store.get('a.example', never);
    stop.abort(new Error('stopped'));
    await expect(first).rejects.toThrow('stopped');
    expect((await errorOf(second)).code).toBe('CREDENTIAL_HELPER_FAILED');
  });
});

describe('credential helpers', () => {
  it('are told the server on standard input and say nothing on the log', async () => {
    const helper = installHelper(
      'osx',
      `echo 'a warning' >&2; echo '{"ServerURL":"x","Username":"ann","Secret":"t0ps3cret"}'`,
    );
    const store = storeOf({ credsStore: 'osx' });
    expect(await store.get('registry-1.docker.io', never)).toEqual({
      username: 'ann',
      password: 't0ps3cret',
    });
    expect(helper.calls()).toEqual(['get https://index.docker.io/v1/']);
    expect(masked).toContain('t0ps3cret');
    expect(printed.mock.calls.map(([text]) => String(text)).join('')).not.toMatch(
      /t0ps3cret|a warning|docker-credential/,
    );
  });

  it('hand out identity tokens under a special user name', async () => {
    installHelper('acr', `echo '{"Username":"<token>","Secret":"refresh"}'`);
    const store = storeOf({ credHelpers: { 'x.azurecr.io': 'acr' } });
    expect(await store.get('x.azurecr.io', never)).toEqual({ identityToken: 'refresh' });
  });

  it('may know nothing, in which case the file is asked', async () => {
    installHelper('pass', `echo 'credentials not found in native keychain'; exit 1`);
    const store = storeOf({ credsStore: 'pass', auths: { 'b.example': auth('bob', 'pw') } });
    expect(await store.get('a.example', never)).toBeUndefined();
    expect(await store.get('b.example', never)).toEqual({ username: 'bob', password: 'pw' });
  });

  it('run once for callers that ask together and for the next minutes', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] });
    const helper = installHelper('count', `echo '{"Username":"ann","Secret":"pw"}'`);
    const store = storeOf({ credsStore: 'count' });
    await Promise.all(Array.from({ length: 5 }, () => store.get('a.example', never)));
    jest.advanceTimersByTime(289_000);
    await store.get('a.example', never);
    expect(helper.calls()).toHaveLength(1);
    jest.advanceTimersByTime(2_000);
    await store.get('a.example', never);
    expect(helper.calls()).toHaveLength(2);
  });

  it('are asked again after a failure', async () => {
    const marker = join(folder, 'healed');
    installHelper('flaky', `[ -e '${marker}' ] || exit 3; echo '{"Username":"a","Secret":"b"}'`);
    const store = storeOf({ credsStore: 'flaky' });
    await errorOf(store.get('a.example', never));
    writeFileSync(marker, '');
    expect(await store.get('a.example', never)).toEqual({ username: 'a', password: 'b' });
  });

  it('that are missing fail only the host that needs them, by name', async () => {
    const store = storeOf({
      credHelpers: { 'a.example': 'not-there' },
      auths: { 'b.example': auth('bob', 'pw') },
    });
    expect(await store.get('b.example', never)).toEqual({ username: 'bob', password: 'pw' });
    const error = await errorOf(store.get('a.example', never));
    expect(error.code).toBe('CREDENTIAL_HELPER_MISSING');
    expect(error.message).toBe(
      'credential helper docker-credential-not-there, named for a.example by the Docker config, cannot be started',
    );
    expect(error.hint).toContain('registry-auth');
  });

  it.each(['../evil', 'a b', 'x;y', ''])('cannot be named %j', async (name) => {
    const store = storeOf({ credHelpers: { 'a.example': name } });
    expect((await errorOf(store.get('a.example', never))).code).toBe('CREDENTIAL_HELPER_MISSING');
  });

  it.each([
    ['fails', 'echo "secret hunter2"; exit 7', 'exited with code 7'],
    ['prints no JSON', 'echo hunter2', 'printed no credentials'],
    ['prints other JSON', `echo '{"Secret":["hunter2"]}'`, 'printed no credentials'],
  ])('that %s are an error without their output', async (_name, script, what) => {
    installHelper('bad', script);
    const error = await errorOf(storeOf({ credsStore: 'bad' }).get('a.example', never));
    expect(error.code).toBe('CREDENTIAL_HELPER_FAILED');
    expect(error.message).toBe(
      `credential helper docker-credential-bad ${what} when asked for a.example`,
    );
    expect(`${String(error.cause)} ${String(error.hint)}`).not.toContain('hunter2');
  });
});
