import { X509Certificate } from 'node:crypto';

import { messageOf } from '../../shared/errors.ts';
import { type TlsClient, tlsContext } from '../../shared/tls-stream.ts';
import type { BuilderTls } from '../builder-spec.ts';
import type { KubeClient } from '../kube-client.ts';
import { isForbidden, isNotFound } from '../kube-failure.ts';
import type { Pod } from '../kube-objects.ts';
import { tlsKeys } from '../manifests/configuration.ts';
import { tlsSecretName } from '../names.ts';
import { untilAborted } from '../until-aborted.ts';
import { WayFailure } from './way-failure.ts';

const dayMs = 24 * 60 * 60_000;
/** How long the certificates of what jobs share are good for. */
const sharedValidMs = 365 * dayMs;
/** They are replaced in their last month. */
const renewalMs = 30 * dayMs;
/** What a job's own builder has beyond its longest life, at which a running build is not cut off. */
const marginMs = dayMs;

/** The name in the daemon's certificate, which clients check whatever address they used. */
export function serverName(builder: string): string {
  return `buildkitd.${builder}`;
}

/**
 * The Secret that takes the place of one whose certificates end.
 *
 * A new name, so that pods which run go on with theirs, and the same one for all who renew at once.
 */
export function renewedSecretName(workload: string, cert: string): string {
  const until = validUntil(cert).toISOString().slice(0, 10);
  return `${tlsSecretName(workload)}-${until.replaceAll('-', '')}`;
}

/** Whether a pool's certificate is in its last month. */
export function isDueForRenewal(cert: string, nowMs: number): boolean {
  return endsWithinRenewal(validUntil(cert), nowMs);
}

/** The same by the end of its validity. */
export function endsWithinRenewal(validUntil: Date, nowMs: number): boolean {
  return validUntil.getTime() - nowMs < renewalMs;
}

/** The end of a certificate's validity. */
export function validUntil(cert: string): Date {
  return new X509Certificate(cert).validToDate;
}

/** How long new certificates are to be good for. */
export function validityMs(builder: {
  readonly isShared: boolean;
  readonly maxLifetimeMs: number;
}): number {
  return builder.isShared ? sharedValidMs : builder.maxLifetimeMs + marginMs;
}

/** The Secret that a pod's daemon has its certificates from; undefined when it has none. */
export function tlsSecretOf({ spec }: Partial<Pod>): string | undefined {
  const volume = (spec?.volumes ?? []).find(({ name }) => name === 'tls');
  return volume?.secret?.secretName;
}

/** The contents of a Secret as `BuilderTls`; undefined when something is missing. */
export function readTlsSecret(
  data: Readonly<Record<string, string>> | undefined,
): BuilderTls | undefined {
  const text = (key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString();
  const tls = {
    ca: text(tlsKeys.ca),
    cert: text(tlsKeys.cert),
    key: text(tlsKeys.key),
    clientCert: text(tlsKeys.clientCert),
    clientKey: text(tlsKeys.clientKey),
  };
  return Object.values(tls).includes('') ? undefined : tls;
}

/** What a client needs to be let in, or why it cannot be had. */
export type TlsAnswer =
  | {
      readonly client: TlsClient;
      /** When the certificates end. */
      readonly endsAt: Date;
    }
  | { readonly failure: WayFailure };

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
      if ('failure' in given) forget();
    }, forget);
    return answer;
  }

  async #read(secret: string): Promise<TlsAnswer> {
    const { client, namespace, signal } = this.#where;
    try {
      const { object } = await client.get('secrets', { namespace, name: secret }, signal);
      const tls = readTlsSecret(object.data);
      if (tls === undefined) return unusable(`the Secret ${secret} has no client certificate`);
      return this.#clientOf(secret, tls);
    } catch (thrown) {
      signal.throwIfAborted();
      if (isNotFound(thrown)) return unusable(`there is no Secret ${secret}`, thrown);
      if (isForbidden(thrown)) {
        return unusable(`the user has no right to get the Secret ${secret}`, thrown);
      }
      const message = `the Secret ${secret} cannot be read: ${messageOf(thrown)}`;
      return { failure: new WayFailure('passing', message, { cause: thrown }) };
    }
  }

  #clientOf(secret: string, { ca, clientCert, clientKey }: BuilderTls): TlsAnswer {
    try {
      const context = tlsContext({ ca, cert: clientCert, key: clientKey });
      const client = { context, serverName: serverName(this.#where.builder), greets: true };
      return { client, endsAt: validUntil(clientCert) };
    } catch (thrown) {
      return unusable(`the Secret ${secret} holds no certificates that can be used`, thrown);
    }
  }
}

function unusable(message: string, cause?: unknown): TlsAnswer {
  const hint = isForbidden(cause)
    ? 'Grant the verb "get" on Secrets of this name, or use connection: exec.'
    : 'Use connection: exec, or remove the builder, so that it is made anew.';
  return { failure: new WayFailure('impossible', message, { hint, cause }) };
}
