import { X509Certificate } from 'node:crypto';

import { messageOf } from '../../shared/errors.ts';
import { type TlsClient, tlsContext } from '../../shared/tls-stream.ts';
import type { BuilderTls } from '../builder-spec.ts';
import type { KubeClient } from '../kube-client.ts';
import { isForbidden, isNotFound } from '../kube-failure.ts';
import type { Pod } from '../kube-objects.ts';
import { untilAborted } from '../until-aborted.ts';

const dayMs = 24 * 60 * 60_000;
/** How long the certificates of what jobs share are good for. */
const sharedValidMs = 365 * dayMs;
/** They are replaced in their last month. */
const renewalMs = 30 * dayMs;
/** What a job's own builder has beyond its longest life, at which a running build is not cut off. */
const marginMs = dayMs;

/** Keys of the Secret; the pod mounts the first three. */
const dataKeys = {
  ca: 'ca.crt',
  cert: 'tls.crt',
  key: 'tls.key',
  clientCert: 'client.crt',
  clientKey: 'client.key',
} as const satisfies Record<keyof BuilderTls, string>;

/** The name in the daemon's certificate, which clients check whatever address they used. */
export function serverName(builder: string): string {
  return `buildkitd.${builder}`;
}

/** The Secret that holds a workload's first certificates. */
export function tlsSecretName(workload: string): string {
  return `${workload}-tls`;
}

/**
 * The Secret that takes the place of one whose certificates end.
 *
 * A new name, so that pods which run go on with theirs, and the same one for all who renew at once.
 */
export function renewedSecretName(workload: string, cert: string): string {
  const until = new X509Certificate(cert).validToDate.toISOString().slice(0, 10);
  return `${tlsSecretName(workload)}-${until.replaceAll('-', '')}`;
}

/** Whether a pool's certificate is in its last month. */
export function isDueForRenewal(cert: string, nowMs: number): boolean {
  return new X509Certificate(cert).validToDate.getTime() - nowMs < renewalMs;
}

/** How long new certificates are to be good for. */
export function validityMs(builder: {
  readonly isShared: boolean;
  readonly maxLifetimeMs: number;
}): number {
  return builder.isShared ? sharedValidMs : builder.maxLifetimeMs + marginMs;
}

/** The Secret that a pod's daemon has its certificates from; undefined when it has none. */
export function tlsSecretOf(pod: Pod): string | undefined {
  const volume = (pod.spec?.volumes ?? []).find(({ name }) => name === 'tls');
  return volume?.secret?.secretName;
}

/** The contents of a Secret as `BuilderTls`; undefined when something is missing. */
export function readTlsSecret(
  data: Readonly<Record<string, string>> | undefined,
): BuilderTls | undefined {
  const text = (key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString();
  const tls = {
    ca: text(dataKeys.ca),
    cert: text(dataKeys.cert),
    key: text(dataKeys.key),
    clientCert: text(dataKeys.clientCert),
    clientKey: text(dataKeys.clientKey),
  };
  return Object.values(tls).includes('') ? undefined : tls;
}

/** The other way round, as the `stringData` of a Secret. */
export function tlsSecretData(tls: BuilderTls): Record<string, string> {
  return Object.fromEntries(
    Object.entries(dataKeys).map(([field, key]) => [key, tls[field as keyof BuilderTls]]),
  );
}

/** What a client needs to be let in, or why it cannot be had. */
export type TlsAnswer = { readonly client: TlsClient } | { readonly reason: string };

interface Where {
  readonly client: Pick<KubeClient, 'get'>;
  readonly namespace: string;
  readonly builder: string;
  /** Ends all reading. */
  readonly signal: AbortSignal;
}

/** The client pairs of one builder, each Secret read once for all who ask. */
export class TlsSecrets {
  readonly #where: Where;
  readonly #answers = new Map<string, Promise<TlsAnswer>>();

  constructor(where: Where) {
    this.#where = where;
  }

  /** Spares reading what this process has just made. */
  put(secret: string, tls: BuilderTls): void {
    this.#answers.set(secret, Promise.resolve(this.#clientOf(secret, tls)));
  }

  /** Rejects only with the reason of a signal; what could not be read is read anew the next time. */
  get(secret: string, signal: AbortSignal): Promise<TlsAnswer> {
    return untilAborted(this.#answers.get(secret) ?? this.#start(secret), signal);
  }

  #start(secret: string): Promise<TlsAnswer> {
    const answer = this.#read(secret);
    this.#answers.set(secret, answer);
    const forget = (): void => {
      this.#answers.delete(secret);
    };
    answer.then((given) => {
      if ('reason' in given) forget();
    }, forget);
    return answer;
  }

  async #read(secret: string): Promise<TlsAnswer> {
    const { client, namespace, signal } = this.#where;
    try {
      const { object } = await client.get('secrets', { namespace, name: secret }, signal);
      const tls = readTlsSecret(object.data);
      if (tls === undefined) return { reason: `Secret ${secret} has no client certificate` };
      return this.#clientOf(secret, tls);
    } catch (thrown) {
      signal.throwIfAborted();
      if (isNotFound(thrown)) return { reason: `there is no Secret ${secret}` };
      if (isForbidden(thrown)) return { reason: `no right to get the Secret ${secret}` };
      return { reason: `the Secret ${secret} cannot be read: ${messageOf(thrown)}` };
    }
  }

  #clientOf(secret: string, { ca, clientCert, clientKey }: BuilderTls): TlsAnswer {
    try {
      const context = tlsContext({ ca, cert: clientCert, key: clientKey });
      return { client: { context, serverName: serverName(this.#where.builder) } };
    } catch (thrown) {
      return {
        reason: `the certificates in Secret ${secret} cannot be used: ${messageOf(thrown)}`,
      };
    }
  }
}
