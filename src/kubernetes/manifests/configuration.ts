import type { V1ConfigMap, V1OwnerReference, V1Secret } from '@kubernetes/client-node';
import type { BuilderSpec, BuilderTls } from '../builder-spec.ts';
import type { DaemonFile } from '../daemon-files.ts';
import { objectMetadata } from './labels.ts';

/** Configuration that is no secret; undefined when there is none. */
export function configMap(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1ConfigMap | undefined {
  const files = spec.files.filter((file) => !file.secret);
  if (files.length === 0) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: objectMetadata(spec, owner),
    data: Object.fromEntries(files.map((file) => [volumeKey(file), file.content])),
  };
}

/** Private keys for registries; undefined when there are none. */
export function secret(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1Secret | undefined {
  const files = spec.files.filter((file) => file.secret);
  if (files.length === 0) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: objectMetadata(spec, owner),
    type: 'Opaque',
    stringData: Object.fromEntries(files.map((file) => [volumeKey(file), file.content])),
  };
}

/** Keys of ConfigMaps and Secrets may not have slashes. */
export function volumeKey(file: DaemonFile): string {
  return file.path.replaceAll('/', '_');
}

/** Where each certificate and key is in the Secret. */
export const tlsKeys = {
  ca: 'ca.crt',
  cert: 'tls.crt',
  key: 'tls.key',
  clientCert: 'client.crt',
  clientKey: 'client.key',
} as const satisfies Record<keyof BuilderTls, string>;

/** Those that the daemon needs. */
export const tlsServerFiles: readonly string[] = [tlsKeys.ca, tlsKeys.cert, tlsKeys.key];

/** Certificates and keys of daemon and client; undefined when there are none. */
export function tlsSecret(
  spec: BuilderSpec,
  owner: V1OwnerReference | undefined,
): V1Secret | undefined {
  const { tls } = spec;
  if (tls === undefined) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: objectMetadata(spec, owner, spec.tlsSecret),
    type: 'Opaque',
    stringData: Object.fromEntries(
      Object.entries(tlsKeys).map(([name, key]) => [key, tls[name as keyof BuilderTls]]),
    ),
  };
}
