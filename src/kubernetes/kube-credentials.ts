import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { KubeConfig as LibraryKubeConfig } from '@kubernetes/client-node';
import { messageOf } from '../shared/errors.ts';
import { proxyFromEnvironment } from './api-proxy.ts';
import type { ApiTarget } from './api-target.ts';
import { type ReadApiTarget, targetAgeMs } from './api-targets.ts';
import { CredentialPlugin, type Credentials, withoutSecrets } from './credential-plugin.ts';
import { KubernetesError } from './errors.ts';
import type { KubeConfig } from './kube-config.ts';
import type { FileOrData } from './kube-config-parse.ts';
import { untilAborted } from './until-aborted.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Makes the function that turns a chosen context into an `ApiTarget`.
 *
 * Files are read anew on each call, since tokens rotate. OIDC goes through
 * `@kubernetes/client-node`, which is loaded only for it: it costs more time to load than all else
 * that we do before the first request. A plugin or provider may take `pluginTimeoutMs`, by default
 * a minute. Throws `KUBECONFIG_INVALID` or `KUBE_CREDENTIALS_FAILED`.
 */
export function createTargetReader(
  config: KubeConfig,
  env: Env,
  { pluginTimeoutMs: timeoutMs = 60_000 }: { readonly pluginTimeoutMs?: number } = {},
): ReadApiTarget {
  const server = parseServer(config);
  const proxy = findProxy(config, server, env);
  const readDynamic = dynamicCredentials(config, { env, timeoutMs });
  return async (signal, options) => {
    const { cluster, user } = config;
    const [ca, cert, key, dynamic, authorization] = await Promise.all([
      readPem(cluster.certificateAuthority, 'certificate-authority', config),
      readPem(user.clientCertificate, 'client-certificate', config),
      readPem(user.clientKey, 'client-key', config),
      readDynamic(signal, options),
      staticAuthorization(config),
    ]);
    signal.throwIfAborted();
    const header = authorization ?? dynamic.authorization;
    const identity = {
      ...pick('ca', ca),
      ...pick('cert', dynamic.cert ?? cert),
      ...pick('key', dynamic.key ?? key),
    };
    let secureContext: SecureContext | undefined;
    return {
      server,
      tls: {
        ...identity,
        ...pick('servername', cluster.tlsServerName),
        ...(cluster.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
      },
      secureContext: () => (secureContext ??= createSecureContext(identity)),
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
    // Without the value, which may have a password.
    throw invalid(config, `the server of context "${config.name}" is no http or https URL`);
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
  if (more.length > 0) {
    throw invalid(config, 'only one of as-groups is supported', 'Name one group there.');
  }
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

/** Reads what a plugin or provider says; static credentials come from elsewhere. */
type ReadCredentials = (
  signal: AbortSignal,
  options: { readonly renew: boolean },
) => Promise<Credentials>;

function dynamicCredentials(
  config: KubeConfig,
  { env, timeoutMs }: { readonly env: Env; readonly timeoutMs: number },
): ReadCredentials {
  const { exec, authProvider } = config.user;
  if (exec !== undefined) {
    const plugin = new CredentialPlugin({
      exec,
      context: config.name,
      env,
      timeoutMs,
      marginMs: targetAgeMs,
      describeCluster: () => describeCluster(config),
    });
    return (signal, options) => plugin.credentials(signal, options);
  }
  if (authProvider !== undefined) return providerCredentials(config, authProvider, timeoutMs);
  return () => Promise.resolve({});
}

/** What a plugin may want to know of the cluster; it has no other way to a certificate in a file. */
async function describeCluster(config: KubeConfig): Promise<object> {
  const { server, certificateAuthority, tlsServerName, insecureSkipTlsVerify, proxyUrl } =
    config.cluster;
  const ca = await readPem(certificateAuthority, 'certificate-authority', config);
  return {
    server,
    ...pick('certificate-authority-data', ca?.toString('base64')),
    ...pick('tls-server-name', tlsServerName),
    ...pick('proxy-url', proxyUrl),
    'insecure-skip-tls-verify': insecureSkipTlsVerify,
  };
}

/** OIDC and the like, by the library, which keeps what it got until that expires. */
function providerCredentials(
  config: KubeConfig,
  authProvider: object,
  timeoutMs: number,
): ReadCredentials {
  let loading: Promise<LibraryKubeConfig> | undefined;
  return async (signal) => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      loading ??= loadLibrary(authProvider);
      const options: RequestOptions = {};
      await untilAborted((await loading).applyToHTTPSOptions(options), limited);
      const headers = (options.headers ?? {}) as Readonly<Record<string, unknown>>;
      const { Authorization: authorization } = headers;
      return typeof authorization === 'string' ? { authorization } : {};
    } catch (failure) {
      signal.throwIfAborted();
      // Never as the cause: what the provider answered may hold the very token.
      const [said = ''] = withoutSecrets(messageOf(failure)).split('\n', 1);
      const why = limited.aborted ? `no answer within ${timeoutMs / 1000} s` : said.slice(0, 300);
      throw new KubernetesError(
        'KUBE_CREDENTIALS_FAILED',
        `the auth-provider of context "${config.name}" failed: ${why}`,
        { hint: 'Log in again before this step, or use a kubeconfig with a token.' },
      );
    }
  };
}

async function loadLibrary(authProvider: object): Promise<LibraryKubeConfig> {
  const { KubeConfig: Library } = await import('@kubernetes/client-node');
  const library = new Library();
  library.loadFromClusterAndUser(
    // The library refuses to work for plain http; only its user is of interest here.
    { name: 'cluster', server: 'https://localhost', skipTLSVerify: false },
    { name: 'user', authProvider },
  );
  return library;
}

function invalid(
  config: KubeConfig,
  why: string,
  hint = 'Compare it with the output of `kubectl config view`.',
): KubernetesError {
  return new KubernetesError('KUBECONFIG_INVALID', `${config.source} cannot be used: ${why}`, {
    hint,
  });
}
