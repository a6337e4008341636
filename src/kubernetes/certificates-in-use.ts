/** The certificates that a builder's daemons and clients know each other by, over its life. */
import type { BuilderSpec, BuilderTls } from './builder-spec.ts';
import {
  endsWithinRenewal,
  isDueForRenewal,
  readTlsSecret,
  renewedSecretName,
  tlsSecretOf,
  type TlsSecrets,
  validityMs,
} from './connection/tls-secret.ts';
import { ensure } from './ensure.ts';
import type { ExistingWorkload } from './existing-builder.ts';
import type { KubeClient } from './kube-client.ts';
import type { Workload } from './kube-objects.ts';
import { tlsSecret } from './manifests/configuration.ts';

/** Makes certificates for a new builder. */
export async function newCertificates(
  { name, isShared }: Pick<BuilderSpec, 'isShared' | 'name'>,
  maxLifetimeMs: number,
): Promise<BuilderTls> {
  const { makeBuilderTls } = await import('./connection/certificates.ts');
  return makeBuilderTls(name, { validMs: validityMs({ isShared, maxLifetimeMs }) });
}

/**
 * The specification with the certificates that the live workload has, so that the two compare.
 *
 * In their last month they are replaced by new ones in a Secret of another name: pods that run go on
 * with theirs. Undefined fields where the workload has none.
 */
export async function withLiveCertificates(
  { client, spec, maxLifetimeMs }: Renewing,
  { workload }: ExistingWorkload,
  signal: AbortSignal,
): Promise<BuilderSpec> {
  const secretName = secretOf(workload.object);
  if (secretName === undefined) return { ...spec, tls: undefined };
  const { namespace } = spec;
  const { object, serverTimeMs } = await client.get(
    'secrets',
    { namespace, name: secretName },
    signal,
  );
  const tls = readTlsSecret(object.data);
  if (tls === undefined) return { ...spec, tls: undefined };
  if (!isDueForRenewal(tls.cert, serverTimeMs)) return { ...spec, tls, tlsSecret: secretName };
  const renewed = {
    ...spec,
    tls: await newCertificates(spec, maxLifetimeMs),
    tlsSecret: renewedSecretName(spec.workload, tls.cert),
  };
  const owner = workload.object.metadata.ownerReferences?.[0];
  const manifest = tlsSecret(renewed, owner);
  if (manifest === undefined) return renewed;
  const isCurrent = (): boolean => true;
  const kept = await ensure(
    { client, spec: renewed, resource: 'secrets', manifest, isCurrent },
    signal,
  );
  return { ...renewed, tls: readTlsSecret(kept.object.object.data) ?? renewed.tls };
}

interface Renewing {
  readonly client: KubeClient;
  readonly spec: BuilderSpec;
  readonly maxLifetimeMs: number;
}

/** Whether the certificates of a workload are in their last month, as far as they can be read. */
export async function endsSoon(
  secrets: TlsSecrets,
  { workload }: ExistingWorkload,
  signal: AbortSignal,
): Promise<boolean> {
  const secretName = secretOf(workload.object);
  if (secretName === undefined) return false;
  const answer = await secrets.get(secretName, signal);
  return 'endsAt' in answer && endsWithinRenewal(answer.endsAt, workload.serverTimeMs);
}

/** The Secret with certificates that new pods of a workload mount; undefined where they have none. */
export function secretOf({ spec }: Workload): string | undefined {
  return tlsSecretOf(spec?.template ?? {});
}
