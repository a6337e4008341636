import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BuilderOptions } from '../options/options.ts';
import {
  type CertificateSource,
  mergeRegistryConfig,
  parseDaemonConfig,
  renderDaemonConfig,
} from './buildkitd-config.ts';
import { KubernetesError } from './errors.ts';
import { looksLikePath } from './shown-path.ts';

/** One file below `/etc/buildkit` of the daemon. */
export interface DaemonFile {
  /** Relative, such as `certs/ghcr.io/ca.pem`. */
  readonly path: string;
  readonly content: string;
  /** Whether it belongs into a Secret. */
  readonly secret: boolean;
}

/** A ConfigMap or Secret may have 1 MiB; the rest is for names and metadata. */
const largestBytes = 1_000_000;

/**
 * Reads what the daemon is configured with: `buildkitd-config` or its inline form, joined with
 * `registry-config`, and the certificates that they name.
 *
 * Empty when nothing is configured. Throws `BUILDKITD_CONFIG_INVALID`.
 */
export async function loadDaemonFiles(
  options: Pick<BuilderOptions, 'buildkitdConfig' | 'buildkitdConfigInline' | 'registryConfig'>,
  workingFolder: string,
): Promise<readonly DaemonFile[]> {
  const { buildkitdConfig: file, buildkitdConfigInline: inline, registryConfig } = options;
  if (file !== undefined && inline !== undefined) {
    throw new KubernetesError(
      'BUILDKITD_CONFIG_INVALID',
      'buildkitd-config and buildkitd-config-inline are both set',
      { hint: 'Keep one of them.' },
    );
  }
  if (file === undefined && inline === undefined && Object.keys(registryConfig).length === 0) {
    return [];
  }
  const origin = file === undefined ? 'buildkitd-config-inline' : `buildkitd-config ${file}`;
  const text = file === undefined ? (inline ?? '') : await readText(file, 'buildkitd-config');
  const merged = mergeRegistryConfig(parseDaemonConfig(text, origin), registryConfig);
  const { toml, certificates } = renderDaemonConfig(merged, origin);
  const files = await Promise.all(
    certificates.map(async (certificate) => ({
      path: certificate.path,
      content: await readCertificate(certificate, workingFolder),
      secret: certificate.secret,
    })),
  );
  return checkSize([{ path: 'buildkitd.toml', content: toml, secret: false }, ...files]);
}

async function readCertificate(source: CertificateSource, folder: string): Promise<string> {
  if (source.pathOrPem.includes('-----BEGIN')) return source.pathOrPem;
  const isShown = !source.secret && looksLikePath(source.pathOrPem);
  const shown = isShown ? source.pathOrPem : 'the file that it names';
  return readText(path.resolve(folder, source.pathOrPem), source.usedAs, shown);
}

async function readText(file: string, usedAs: string, shown = file): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new KubernetesError('BUILDKITD_CONFIG_INVALID', `${usedAs}: ${shown} ${why}`, {
      hint: 'Give a path on the runner, relative ones start in the working folder of the job, or text with its PEM header.',
    });
  }
}

function checkSize(files: readonly DaemonFile[]): readonly DaemonFile[] {
  for (const secret of [false, true]) {
    const sizeBytes = files
      .filter((file) => file.secret === secret)
      .reduce((sum, file) => sum + Buffer.byteLength(file.content), 0);
    if (sizeBytes > largestBytes) {
      throw new KubernetesError(
        'BUILDKITD_CONFIG_INVALID',
        `configuration and certificates of the builder have ${sizeBytes} bytes; Kubernetes takes ${largestBytes}`,
        { hint: 'Name fewer or smaller certificate files.' },
      );
    }
  }
  return files;
}
