import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import { KubernetesError } from './errors.ts';
import {
  anonymousUser,
  type KubeConfigData,
  mergeKubeConfigs,
  parseKubeConfig,
  type SelectedContext,
  selectContext,
} from './kube-config-parse.ts';
import { looksLikePath } from './shown-path.ts';

/** Where Kubernetes mounts a pod's service account. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface KubeConfigOptions {
  /** The input: a path, YAML text or base64 of it. */
  readonly kubeconfig: string | undefined;
  /** The input `kube-context`; unset: the current context. */
  readonly kubeContext: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  /** Default: `serviceAccountFolder`. */
  readonly serviceAccountFolder?: string;
}

/** A chosen cluster and user. */
export interface KubeConfig extends SelectedContext {
  /** Where it was found, for the log. */
  readonly source: string;
}

/**
 * Finds the kubeconfig: the input, then `KUBECONFIG` (a list, merged), then `~/.kube/config`, then
 * the service account of the pod we run in.
 *
 * A source that is named but cannot be used is an error; only what is not there is passed over.
 * Throws `KUBECONFIG_MISSING`, `KUBECONFIG_INVALID` or `KUBE_CONTEXT_UNKNOWN`.
 */
export async function loadKubeConfig(options: KubeConfigOptions): Promise<KubeConfig> {
  const found =
    (await fromInput(options)) ?? (await fromVariable(options)) ?? (await fromHome(options));
  if (found !== undefined) {
    const selected = selectContext(found.config, options.kubeContext, found.source);
    return { ...selected, source: found.source };
  }
  return fromServiceAccount(options);
}

interface Found {
  readonly config: KubeConfigData;
  readonly source: string;
}

async function fromInput(options: KubeConfigOptions): Promise<Found | undefined> {
  const value = options.kubeconfig?.trim() ?? '';
  if (value === '') return undefined;
  const inline = inlineText(value);
  if (inline !== undefined) {
    const source = 'the kubeconfig input';
    return { config: parseKubeConfig(inline, source, (file) => path.resolve(file)), source };
  }
  const file = value.startsWith('~/') ? path.join(options.homeFolder, value.slice(2)) : value;
  const source = `the kubeconfig input (${value})`;
  const text = await readIfThere(file, source);
  if (text === undefined) {
    const shown = looksLikePath(value) ? ` ("${value}")` : '';
    throw new KubernetesError(
      'KUBECONFIG_MISSING',
      `the kubeconfig input${shown} is no existing file, no YAML and no base64 of YAML`,
      { hint: 'Give the path of a kubeconfig, its text, or its text in base64.' },
    );
  }
  return { config: parseFile(text, file, source), source };
}

async function fromVariable(options: KubeConfigOptions): Promise<Found | undefined> {
  const files = (options.env.KUBECONFIG ?? '').split(path.delimiter).filter((f) => f !== '');
  if (files.length === 0) return undefined;
  // Some put the text of a kubeconfig there.
  const source = files.every(looksLikePath)
    ? `KUBECONFIG (${files.join(path.delimiter)})`
    : 'KUBECONFIG';
  const texts = await Promise.all(files.map((file) => readIfThere(file, source)));
  const configs = texts.flatMap((text, index) =>
    text === undefined ? [] : [parseFile(text, files[index] ?? '', source)],
  );
  if (configs.length === 0) {
    throw new KubernetesError('KUBECONFIG_MISSING', `${source} names no existing file`, {
      hint: 'Correct KUBECONFIG, which takes paths, or set the input kubeconfig, which takes text as well.',
    });
  }
  return { config: mergeKubeConfigs(configs), source };
}

async function fromHome(options: KubeConfigOptions): Promise<Found | undefined> {
  const file = path.join(options.homeFolder, '.kube', 'config');
  const text = await readIfThere(file, '~/.kube/config');
  if (text === undefined) return undefined;
  return { config: parseFile(text, file, '~/.kube/config'), source: '~/.kube/config' };
}

async function fromServiceAccount(options: KubeConfigOptions): Promise<KubeConfig> {
  const folder = options.serviceAccountFolder ?? serviceAccountFolder;
  const host = options.env.KUBERNETES_SERVICE_HOST;
  const port = options.env.KUBERNETES_SERVICE_PORT;
  const tokenFile = path.join(folder, 'token');
  const token = await readIfThere(tokenFile, 'the service account of this pod');
  if (host === undefined || port === undefined || token === undefined) {
    throw new KubernetesError(
      'KUBECONFIG_MISSING',
      'there is no kubeconfig; tried: input kubeconfig (empty), KUBECONFIG (not set), ' +
        `${path.join(options.homeFolder, '.kube', 'config')} (missing), service account of a pod (none)`,
      { hint: 'Set the input kubeconfig, for example from a secret.' },
    );
  }
  const name = 'in-cluster';
  if (options.kubeContext !== undefined) {
    throw new KubernetesError(
      'KUBE_CONTEXT_UNKNOWN',
      `kube-context "${options.kubeContext}" is not to be had: without a kubeconfig there is only this pod's service account`,
      { hint: 'Remove the input kube-context or give a kubeconfig.' },
    );
  }
  const source = 'the service account of this pod';
  const namespace = (await readIfThere(path.join(folder, 'namespace'), source))?.trim();
  return {
    source,
    name,
    namespace: namespace === undefined || namespace === '' ? 'default' : namespace,
    cluster: {
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      certificateAuthority: { file: path.join(folder, 'ca.crt'), data: undefined },
      insecureSkipTlsVerify: false,
      tlsServerName: undefined,
      proxyUrl: undefined,
    },
    user: { ...anonymousUser, tokenFile },
  };
}

function parseFile(text: string, file: string, source: string): KubeConfigData {
  const folder = path.dirname(path.resolve(file));
  const origin = source.includes(file) ? source : `${source}, file ${file},`;
  return parseKubeConfig(text, origin, (relative) => path.resolve(folder, relative));
}

/** The text of a kubeconfig given in place of a path, else undefined. */
function inlineText(value: string): string | undefined {
  if (looksLikeKubeConfig(value)) return value;
  const compact = value.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/_-]{24,}={0,2}$/.test(compact)) return undefined;
  const decoded = Buffer.from(compact, 'base64').toString('utf8');
  return looksLikeKubeConfig(decoded) ? decoded : undefined;
}

function looksLikeKubeConfig(text: string): boolean {
  return (
    text.trimStart().startsWith('{') ||
    /^\s*["']?(apiVersion|kind|clusters|contexts)["']?\s*:/m.test(text)
  );
}

async function readIfThere(file: string, source: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    throw new KubernetesError(
      'KUBECONFIG_INVALID',
      `${source} cannot be read: ${code} at ${file}`,
      { hint: 'Make the file readable for the user of the runner.', cause },
    );
  }
}
