import { parse, stringify, type TomlTable, TomlError } from 'smol-toml';
import type { RegistryHostConfig } from '../options/options.ts';
import { KubernetesError } from './errors.ts';

/** Where the daemon looks for its configuration. */
const daemonFolder = '/etc/buildkit';

/** A certificate or key that goes to the daemon. */
export interface CertificateSource {
  /** Below `/etc/buildkit`. */
  readonly path: string;
  /** A path on the runner, or the PEM text itself. */
  readonly pathOrPem: string;
  readonly secret: boolean;
  /** Names the setting in errors. */
  readonly usedAs: string;
}

/** Reads a `buildkitd.toml`; throws `BUILDKITD_CONFIG_INVALID` with line and column. */
export function parseDaemonConfig(text: string, origin: string): TomlTable {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? '';
    throw new KubernetesError(
      'BUILDKITD_CONFIG_INVALID',
      `${origin}, line ${cause.line}, column ${cause.column}: ${reason}`,
      { hint: 'Correct the TOML; the format is that of buildkitd.toml.' },
    );
  }
}

/** Adds `registry-config`; what it sets wins over the same setting of the TOML. */
export function mergeRegistryConfig(
  config: TomlTable,
  registryConfig: Readonly<Record<string, RegistryHostConfig>>,
): TomlTable {
  const hosts = Object.entries(registryConfig);
  if (hosts.length === 0) return config;
  const registry: TomlTable = isTable(config.registry) ? { ...config.registry } : {};
  for (const [host, settings] of hosts) {
    const before = registry[host];
    registry[host] = { ...(isTable(before) ? before : {}), ...toDaemonSettings(settings) };
  }
  return { ...config, registry };
}

/**
 * Writes the TOML for the daemon, with certificate paths as they are there.
 *
 * Comments and order of the original are lost, as with buildx. Throws `BUILDKITD_CONFIG_INVALID`
 * for settings of the wrong type.
 */
export function renderDaemonConfig(
  config: TomlTable,
  origin: string,
): { readonly toml: string; readonly certificates: readonly CertificateSource[] } {
  if (config.registry === undefined) return { toml: stringify(config), certificates: [] };
  const registry = tableOf(config.registry, `${origin}: registry`);
  const certificates: CertificateSource[] = [];
  const folders = new Set<string>();
  const rewritten: TomlTable = {};
  for (const [host, value] of Object.entries(registry)) {
    const where = `${origin}: registry."${host}"`;
    const folder = uniqueFolder(host, folders);
    const add = addTo(certificates, folder);
    rewritten[host] = rewriteHost(tableOf(value, where), where, add);
  }
  return { toml: stringify({ ...config, registry: rewritten }), certificates };
}

type Add = (
  kind: 'ca' | 'cert' | 'key',
  item: { readonly pathOrPem: string; readonly usedAs: string },
) => string;

function addTo(certificates: CertificateSource[], folder: string): Add {
  const counts = { ca: 0, cert: 0, key: 0 };
  return (kind, { pathOrPem, usedAs }) => {
    counts[kind] += 1;
    const number = counts[kind] === 1 ? '' : `-${counts[kind]}`;
    const path = `certs/${folder}/${kind}${number}.pem`;
    certificates.push({ path, pathOrPem, usedAs, secret: kind === 'key' });
    return `${daemonFolder}/${path}`;
  };
}

function rewriteHost(host: TomlTable, where: string, add: Add): TomlTable {
  const result: TomlTable = { ...host };
  if (host.ca !== undefined) {
    const usedAs = `${where}.ca`;
    const paths = typeof host.ca === 'string' ? [host.ca] : listOf(host.ca, usedAs);
    result.ca = paths.map((item) => add('ca', { pathOrPem: textOf(item, usedAs), usedAs }));
  }
  if (host.keypair !== undefined) {
    const usedAs = `${where}.keypair`;
    const pairs = Array.isArray(host.keypair) ? host.keypair : [host.keypair];
    result.keypair = pairs.map((item) => {
      const pair = tableOf(item, usedAs);
      const key = { pathOrPem: textOf(pair.key, `${usedAs}.key`), usedAs: `${usedAs}.key` };
      const cert = { pathOrPem: textOf(pair.cert, `${usedAs}.cert`), usedAs: `${usedAs}.cert` };
      return { ...pair, key: add('key', key), cert: add('cert', cert) };
    });
  }
  return result;
}

function toDaemonSettings(settings: RegistryHostConfig): TomlTable {
  const { mirrors, http, insecure, ca, cert, key } = settings;
  return {
    ...(mirrors.length > 0 ? { mirrors: [...mirrors] } : {}),
    ...(http ? { http } : {}),
    ...(insecure ? { insecure } : {}),
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined || key === undefined ? {} : { keypair: [{ key, cert }] }),
  };
}

/** As buildx names it: `localhost:5000` is `localhost_5000`. */
function uniqueFolder(host: string, taken: Set<string>): string {
  const base = host.replace(/[^A-Za-z0-9.-]+/g, '_');
  let folder = base;
  for (let number = 2; taken.has(folder); number += 1) folder = `${base}-${number}`;
  taken.add(folder);
  return folder;
}

function isTable(value: unknown): value is TomlTable {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

function tableOf(value: unknown, where: string): TomlTable {
  if (!isTable(value)) throw wrongType(where, 'a table');
  return value;
}

function listOf(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw wrongType(where, 'a list of paths');
  return value;
}

function textOf(value: unknown, where: string): string {
  if (typeof value !== 'string') throw wrongType(where, 'a path');
  return value;
}

function wrongType(where: string, wanted: string): KubernetesError {
  return new KubernetesError('BUILDKITD_CONFIG_INVALID', `${where} must be ${wanted}`);
}
