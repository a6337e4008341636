import type { RegistryAuth } from '../options/options.ts';
import type { Logger } from '../shared/logger.ts';
import { askCredentialHelper } from './credential-helper.ts';
import { parseDockerConfig, withoutEmpty, type DockerConfig } from './docker-config.ts';
import {
  canonicalRegistryHost,
  credentialHosts,
  dockerConfigKey,
  entryOfHost,
} from './registry-host.ts';

/** What a registry is told about the user; exactly the fields that were found are set. */
export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  /** OAuth refresh token, used in place of username and password. */
  readonly identityToken?: string;
  /** Bearer token to be used as it is. */
  readonly registryToken?: string;
}

/** Finds credentials for a registry host such as `ghcr.io` or `localhost:5000`. */
export interface CredentialStore {
  get(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined>;
}

/** Where credentials come from and who is told of them. */
export interface CredentialStoreOptions {
  /** The `registry-auth` input; wins over everything else. */
  readonly registryAuth: RegistryAuth;
  /** `DOCKER_AUTH_CONFIG` is read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dockerConfig: DockerConfig;
  readonly logger: Logger;
  /** Called with every secret that is handed out, before that. */
  readonly mask: (secret: string) => void;
}

/** Credentials of helpers may expire after 5 minutes; docker's own tools keep them this long. */
const cacheMs = 290_000;

type Resolver = (host: string) => Promise<RegistryCredentials | undefined>;

/**
 * The credentials of the `registry-auth` input, then of `DOCKER_AUTH_CONFIG`, then of the helper
 * that docker's `config.json` names for the host, then of that file itself.
 *
 * An answer is kept for 4 min 50 s;
 * callers that ask together share one look-up. `get` throws `CredentialError` when the helper of
 * that host is missing or fails, and the reason of its signal.
 */
export function createCredentialStore(options: CredentialStoreOptions): CredentialStore {
  const { env, dockerConfig, logger, mask } = options;
  const source = { source: 'DOCKER_AUTH_CONFIG', logger };
  const envConfig = parseDockerConfig(env.DOCKER_AUTH_CONFIG ?? '', source);
  const resolvers: readonly Resolver[] = [
    (host) => Promise.resolve(fromRegistryAuth(options.registryAuth, host)),
    (host) => Promise.resolve(entryOfHost(envConfig.auths, host)),
    (host) => fromHelper(dockerConfig, host),
    (host) => Promise.resolve(entryOfHost(dockerConfig.auths, host)),
  ];
  const lookUp = async (host: string): Promise<RegistryCredentials | undefined> => {
    for (const candidate of credentialHosts(host)) {
      for (const resolve of resolvers) {
        const found = await resolve(candidate);
        if (found !== undefined) {
          maskAll(found, mask);
          return found;
        }
      }
    }
    return undefined;
  };
  return cachedStore(lookUp);
}

function cachedStore(lookUp: Resolver): CredentialStore {
  const cached = new Map<string, { answer: ReturnType<Resolver>; untilMs: number }>();
  return {
    get: (host, signal) => {
      const key = canonicalRegistryHost(host);
      const kept = cached.get(key);
      if (kept !== undefined && performance.now() < kept.untilMs) {
        return untilAborted(kept.answer, signal);
      }
      // Not tied to `signal`: others may be waiting for the same answer.
      const fresh = { answer: lookUp(host), untilMs: performance.now() + cacheMs };
      cached.set(key, fresh);
      fresh.answer.catch(() => {
        if (cached.get(key) === fresh) cached.delete(key);
      });
      return untilAborted(fresh.answer, signal);
    },
  };
}

function fromRegistryAuth(
  registryAuth: RegistryAuth,
  host: string,
): RegistryCredentials | undefined {
  const entry = entryOfHost(registryAuth, host);
  if (entry === undefined) return undefined;
  const { username, password, token } = entry;
  const credentials = withoutEmpty({ username, password, registryToken: token });
  return Object.keys(credentials).length === 0 ? undefined : credentials;
}

async function fromHelper(
  config: DockerConfig,
  host: string,
): Promise<RegistryCredentials | undefined> {
  const helper = entryOfHost(config.credHelpers, host) ?? config.credsStore;
  return helper === undefined ? undefined : askCredentialHelper(helper, dockerConfigKey(host));
}

function maskAll(credentials: RegistryCredentials, mask: (secret: string) => void): void {
  const { username, password, identityToken, registryToken } = credentials;
  for (const secret of [password, identityToken, registryToken]) {
    if (secret === undefined) continue;
    mask(secret);
    // The form that basic authentication sends.
    mask(Buffer.from(`${username ?? ''}:${secret}`).toString('base64'));
  }
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
