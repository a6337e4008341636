import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import type { KubeConfig as LibraryKubeConfig } from '@kubernetes/client-node';
import { messageOf } from '../shared/errors.ts';
import { proxyFromEnvironment } from './api-proxy.ts';
import type { ApiTarget, ResolveApiTarget } from './api-target.ts';
import { KubernetesError } from './errors.ts';
import type { KubeConfig } from './kube-config.ts';
import type { ExecEntry, FileOrData } from './kube-config-parse.ts';

/** A credential plugin that hangs must not hang the job. */
const pluginTimeoutMs = 60_000;

/** What a credential plugin or provider gives. */
interface Credentials {
  readonly authorization?: string;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

type ReadCredentials = (signal: AbortSignal) => Promise<Credentials>;

/**
 * Makes the function that turns a chosen context into an `ApiTarget`.
 *
 * Files are read anew on each call, since tokens rotate. Credential plugins and OIDC go through
 * `@kubernetes/client-node`, which is loaded only for them: it costs more time to load than all
 * else that we do before the first request. It keeps their answer until that expires.
 */
export function createTargetResolver(
  config: KubeConfig,
  env: Readonly<Record<string, string | undefined>>,
): ResolveApiTarget {
  const server = parseServer(config);
  const proxy = findProxy(config, server, env);
  const readDynamic = dynamicCredentials(config);
  return async (signal) => {
    const { cluster, user } = config;
    const [ca, cert, key, dynamic, authorization] = await Promise.all([
      readPem(cluster.certificateAuthority, 'certificate-authority', config),
      readPem(user.clientCertificate, 'client-certificate', config),
      readPem(user.clientKey, 'client-key', config),
      readDynamic(signal),
      staticAuthorization(config),
    ]);
    signal.throwIfAborted();
    const header = authorization ?? dynamic.authorization;
    return {
      server,
      tls: {
        ...(ca === undefined ? {} : { ca }),
        ...pick('cert', dynamic.cert ?? cert),
        ...pick('key', dynamic.key ?? key),
        ...pick('servername', cluster.tlsServerName),
        ...(cluster.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
      },
      headers: { ...pick('Authorization', header), ...impersonation(config) },
      ...pick('proxy', proxy),
    } satisfies ApiTarget;
  };
}

function pick<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function parseServer(config: KubeConfig): URL {
  const server = URL.parse(config.cluster.server);
  if (server === null || !/^https?:$/.test(server.protocol)) {
    throw invalid(config, `server "${config.cluster.server}" is no http or https URL`);
  }
  return server;
}

function findProxy(
  config: KubeConfig,
  server: URL,
  env: Readonly<Record<string, string | undefined>>,
): URL | undefined {
  const written = config.cluster.proxyUrl;
  const proxy = written === undefined ? proxyFromEnvironment(server, env) : URL.parse(written);
  if (proxy === undefined) return undefined;
  if (proxy === null || !/^https?:$/.test(proxy.protocol)) {
    const scheme = proxy === null ? 'no URL' : `of scheme ${proxy.protocol}`;
    throw invalid(config, `its proxy is ${scheme}; only http and https proxies are supported`);
  }
  return proxy;
}

async function staticAuthorization(config: KubeConfig): Promise<string | undefined> {
  const { user } = config;
  if (user.tokenFile !== undefined) {
    return `Bearer ${(await readNamed(user.tokenFile, 'tokenFile', config)).toString('utf8').trim()}`;
  }
  if (user.token !== undefined) return `Bearer ${user.token.trim()}`;
  if (user.username === undefined) return undefined;
  return `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
}

function impersonation(config: KubeConfig): Record<string, string> {
  const { user, groups } = config.user.impersonate;
  const [group, ...more] = groups;
  if (more.length > 0) throw invalid(config, 'only one of as-groups is supported');
  return { ...pick('Impersonate-User', user), ...pick('Impersonate-Group', group) };
}

async function readPem(
  source: FileOrData,
  what: string,
  config: KubeConfig,
): Promise<Buffer | undefined> {
  if (source.file !== undefined) return readNamed(source.file, what, config);
  return source.data === undefined ? undefined : Buffer.from(source.data, 'base64');
}

async function readNamed(file: string, what: string, config: KubeConfig): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw invalid(config, `its ${what} ${file} cannot be read: ${code}`);
  }
}

function dynamicCredentials(config: KubeConfig): ReadCredentials {
  const { exec, authProvider } = config.user;
  if (exec === undefined && authProvider === undefined) return () => Promise.resolve({});
  let loading: Promise<LibraryKubeConfig> | undefined;
  return async (signal) => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(pluginTimeoutMs)]);
    try {
      loading ??= loadLibrary(config);
      const options: RequestOptions = {};
      await untilAborted((await loading).applyToHTTPSOptions(options), limited);
      return credentialsOf(options);
    } catch (thrown) {
      signal.throwIfAborted();
      throw pluginFailure(config, limited.aborted ? new Error('no answer in 60 s') : thrown);
    }
  };
}

async function loadLibrary(config: KubeConfig): Promise<LibraryKubeConfig> {
  const { KubeConfig: Library } = await import('@kubernetes/client-node');
  const library = new Library();
  const { exec, authProvider } = config.user;
  library.loadFromClusterAndUser(
    // The library refuses to work for plain http; only its user is of interest here.
    { name: 'cluster', server: 'https://localhost', skipTLSVerify: false },
    {
      name: 'user',
      ...(exec === undefined ? {} : { exec: pluginCall(exec, config) }),
      ...(authProvider === undefined ? {} : { authProvider }),
    },
  );
  return library;
}

/** `KUBERNETES_EXEC_INFO` tells the plugin which version to answer in; the library leaves it out. */
function pluginCall(exec: ExecEntry, config: KubeConfig): object {
  const { server, certificateAuthority, tlsServerName, insecureSkipTlsVerify } = config.cluster;
  const cluster = {
    server,
    ...pick('certificate-authority-data', certificateAuthority.data),
    ...pick('tls-server-name', tlsServerName),
    'insecure-skip-tls-verify': insecureSkipTlsVerify,
  };
  const info = {
    kind: 'ExecCredential',
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1beta1',
    spec: { interactive: false, ...(exec.provideClusterInfo ? { cluster } : {}) },
  };
  const variable = { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) };
  return { command: exec.command, args: [...exec.args], env: [...exec.env, variable] };
}

function credentialsOf(options: RequestOptions): Credentials {
  const headers = (options.headers ?? {}) as Readonly<Record<string, unknown>>;
  const authorization = headers.Authorization;
  return {
    ...pick('authorization', typeof authorization === 'string' ? authorization : undefined),
    ...pick('cert', options.cert as string | Buffer | undefined),
    ...pick('key', options.key as string | Buffer | undefined),
  };
}

/** Never carries a cause: what the plugin printed may hold the very token. */
function pluginFailure(config: KubeConfig, thrown: unknown): KubernetesError {
  const { exec } = config.user;
  const what = exec === undefined ? 'its auth-provider' : `the credential plugin "${exec.command}"`;
  const missing = (thrown as NodeJS.ErrnoException).code === 'ENOENT';
  const why = missing ? 'it is not on this machine' : describePluginOutput(thrown);
  return new KubernetesError(
    'KUBE_CREDENTIALS_FAILED',
    `${what} of context "${config.name}" failed: ${why}`,
    {
      hint:
        (missing ? exec?.installHint?.trim() : undefined) ??
        'Run the plugin by hand on the runner, or use a kubeconfig with a token.',
    },
  );
}

/** First line of standard error, without whatever is long enough to be a secret. */
function describePluginOutput(thrown: unknown): string {
  if (thrown instanceof SyntaxError) return 'it printed no JSON';
  if (thrown instanceof TypeError) return 'it printed no credentials';
  const line = messageOf(thrown).trim().split('\n')[0]?.trim() ?? '';
  const safe = line.replace(/[\w+/=.-]{24,}/g, '…').slice(0, 300);
  return safe === '' ? 'it ended with an error and said nothing' : safe;
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}

function invalid(config: KubeConfig, why: string): KubernetesError {
  return new KubernetesError('KUBECONFIG_INVALID', `${config.source} cannot be used: ${why}`);
}
