import { describe, expect, it } from '@jest/globals';

import type { BuilderTls } from '../../../../src/kubernetes/builder-spec.ts';
import { makeBuilderTls } from '../../../../src/kubernetes/connection/certificates.ts';
import {
  isDueForRenewal,
  readTlsSecret,
  renewedSecretName,
  TlsSecrets,
  tlsSecretOf,
  validityMs,
} from '../../../../src/kubernetes/connection/tls-secret.ts';
import { KubernetesError } from '../../../../src/kubernetes/errors.ts';
import type { KubeClient } from '../../../../src/kubernetes/kube-client.ts';
import type { Pod } from '../../../../src/kubernetes/kube-objects.ts';
import { tlsKeys } from '../../../../src/kubernetes/manifests/configuration.ts';

const never = new AbortController().signal;
const dayMs = 86_400_000;
const now = Date.parse('2026-06-01T00:00:00Z');
const tls = await makeBuilderTls('b', { validMs: 365 * dayMs, now });

function dataOf(files: BuilderTls): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tlsKeys).map(([field, key]) => [
      key,
      Buffer.from(files[field as keyof BuilderTls]).toString('base64'),
    ]),
  );
}

function podWith(volumes: object[]): Pod {
  return { metadata: { name: 'p', uid: 'u' }, spec: { volumes } } as Pod;
}

describe('the Secret of a builder', () => {
  it('is read whole or not at all', () => {
    expect(readTlsSecret(dataOf(tls))).toEqual(tls);
    for (const key of Object.values(tlsKeys)) {
      expect(readTlsSecret({ ...dataOf(tls), [key]: '' })).toBeUndefined();
    }
    expect(readTlsSecret(undefined)).toBeUndefined();
  });

  it('is the one that the pod mounts', () => {
    const other = { name: 'config', secret: { secretName: 'x' } };
    expect(tlsSecretOf(podWith([other, { name: 'tls', secret: { secretName: 'w-tls' } }]))).toBe(
      'w-tls',
    );
    expect(tlsSecretOf(podWith([other]))).toBeUndefined();
    expect(tlsSecretOf({ metadata: { name: 'p', uid: 'u' } })).toBeUndefined();
  });

  it('is renewed in its last month, under one name for all who do', () => {
    const end = now + 365 * dayMs;
    expect(isDueForRenewal(tls.cert, end - 31 * dayMs)).toBe(false);
    expect(isDueForRenewal(tls.cert, end - 29 * dayMs)).toBe(true);
    expect(isDueForRenewal(tls.cert, end + dayMs)).toBe(true);
    expect(renewedSecretName('pool-linux-amd64', tls.cert)).toBe('pool-linux-amd64-tls-20270601');
  });

  it('lives a year where jobs share the builder, else a day longer than that', () => {
    const maxLifetimeMs = 6 * 3_600_000;
    expect(validityMs({ isShared: true, maxLifetimeMs })).toBe(365 * dayMs);
    expect(validityMs({ isShared: false, maxLifetimeMs })).toBe(maxLifetimeMs + dayMs);
  });
});

describe('TlsSecrets', () => {
  interface Setting {
    readonly secrets: TlsSecrets;
    readonly reads: string[];
  }

  function setting(answers: (() => Promise<unknown>)[]): Setting {
    const reads: string[] = [];
    const client = {
      get: (_resource: string, { name }: { name: string }) => {
        reads.push(name);
        return answers.shift()?.();
      },
    } as unknown as Pick<KubeClient, 'get'>;
    const secrets = new TlsSecrets({ client, namespace: 'ci', builder: 'b', signal: never });
    return { secrets, reads };
  }

  const found = (): Promise<unknown> => Promise.resolve({ object: { data: dataOf(tls) } });
  const fails =
    (code: 'KUBE_FORBIDDEN' | 'KUBE_API_FAILED', httpStatus: number) => (): Promise<unknown> =>
      Promise.reject(new KubernetesError(code, 'no', { httpStatus }));

  it('reads each Secret once for all who ask', async () => {
    const { secrets, reads } = setting([found]);
    const [one, other] = await Promise.all([secrets.get('s', never), secrets.get('s', never)]);
    expect(one).toBe(other);
    expect(one).toMatchObject({ client: { serverName: 'buildkitd.b' } });
    await secrets.get('s', never);
    expect(reads).toEqual(['s']);
  });

  it('need not read what this process has made', async () => {
    const { secrets, reads } = setting([]);
    secrets.put('s', tls);
    expect(await secrets.get('s', never)).toMatchObject({ client: {} });
    expect(reads).toEqual([]);
  });

  it('says why there are none, and asks again the next time', async () => {
    const { secrets, reads } = setting([
      fails('KUBE_FORBIDDEN', 403),
      fails('KUBE_API_FAILED', 404),
      fails('KUBE_API_FAILED', 500),
      () => Promise.resolve({ object: { data: { ...dataOf(tls), 'client.key': '' } } }),
      () => Promise.resolve({ object: { data: dataOf({ ...tls, clientKey: 'no key' }) } }),
      found,
    ]);
    const failures: unknown[] = [];
    for (let count = 0; count < 5; count += 1) failures.push(await secrets.get('s', never));
    expect(failures).toMatchObject([
      { failure: { kind: 'impossible', message: 'the user has no right to get the Secret s' } },
      { failure: { kind: 'impossible', message: 'there is no Secret s' } },
      { failure: { kind: 'passing', message: 'the Secret s cannot be read: no' } },
      { failure: { kind: 'impossible', message: 'the Secret s has no client certificate' } },
      { failure: { kind: 'impossible', message: expect.stringContaining('can be used') } },
    ]);
    expect(await secrets.get('s', never)).toMatchObject({ client: {} });
    expect(reads).toHaveLength(6);
  });

  it('lets one who waits give up while the others go on', async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const { secrets } = setting([() => promise]);
    const patient = secrets.get('s', never);
    const hasty = new AbortController();
    const given = secrets.get('s', hasty.signal);
    hasty.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    resolve(await found());
    expect(await patient).toMatchObject({ client: {} });
  });
});
