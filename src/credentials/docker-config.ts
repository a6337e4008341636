import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../shared/logger.ts';
import type { RegistryCredentials } from './credential-store.ts';

/** What docker's configuration says about registries; an entry without any credentials is left out. */
export interface DockerConfig {
  readonly auths: Readonly<Record<string, RegistryCredentials>>;
  /** Helper name by registry. */
  readonly credHelpers: Readonly<Record<string, string>>;
  /** Helper for all other registries. */
  readonly credsStore: string | undefined;
  /** `proxies.default`, such as `httpProxy`: what builds are given as build arguments. */
  readonly proxies: Readonly<Record<string, string>>;
}

type JsonObject = Readonly<Record<string, unknown>>;

const emptyConfig: DockerConfig = {
  auths: {},
  credHelpers: {},
  credsStore: undefined,
  proxies: {},
};

/** Where `config.json` is: in `DOCKER_CONFIG`, else in `.docker` of the home folder. */
export function dockerConfigPath(
  env: Readonly<Record<string, string | undefined>>,
  homeDir: string,
): string {
  const folder = env.DOCKER_CONFIG;
  return join(
    folder === undefined || folder === '' ? join(homeDir, '.docker') : folder,
    'config.json',
  );
}

/** Reads docker's `config.json`; one that is missing is empty, one that is unusable also warned of. */
export async function readDockerConfig(path: string, logger: Logger): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      logger.warning(`Docker config ${path} cannot be read (${code}); going on without it`);
    }
    return emptyConfig;
  }
  return parseDockerConfig(text, { source: `Docker config ${path}`, logger });
}

/**
 * Parses the text of a docker config file.
 *
 * As docker does, what is malformed is warned of and skipped. The warnings quote nothing of it: an
 * error of the JSON parser would show the passwords around the fault.
 */
export function parseDockerConfig(
  text: string,
  options: { readonly source: string; readonly logger: Logger },
): DockerConfig {
  const { source, logger } = options;
  const config = text.trim() === '' ? {} : parseObject(text);
  if (config === undefined) {
    logger.warning(`${source} is not a JSON object; going on without it`);
    return emptyConfig;
  }
  const skip = (field: string, wanted: string): void => {
    logger.warning(`${source}: ${field} is not ${wanted}; ignored`);
  };
  const objectOf = (field: string): JsonObject => {
    const value = config[field] ?? {};
    if (isObject(value)) return value;
    skip(field, 'an object');
    return {};
  };
  const auths = Object.entries(objectOf('auths')).flatMap(([host, entry]) => {
    const credentials = isObject(entry) ? parseAuth(entry) : undefined;
    if (credentials === undefined) skip(`auths of ${host}`, 'a valid entry');
    return credentials === undefined || Object.keys(credentials).length === 0
      ? []
      : [[host, credentials] as const];
  });
  const helpers = Object.entries(objectOf('credHelpers')).flatMap(([host, helper]) => {
    if (typeof helper === 'string') return [[host, helper] as const];
    skip(`credHelpers of ${host}`, 'a string');
    return [];
  });
  const store = config.credsStore ?? '';
  if (typeof store !== 'string') skip('credsStore', 'a string');
  const { default: proxies = {} } = objectOf('proxies');
  return {
    auths: Object.fromEntries(auths),
    credHelpers: Object.fromEntries(helpers),
    credsStore: typeof store === 'string' && store !== '' ? store : undefined,
    proxies: Object.fromEntries(
      Object.entries(isObject(proxies) ? proxies : {}).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      ),
    ),
  };
}

/** The credentials in one entry of `auths`; undefined when it is malformed. */
function parseAuth(entry: JsonObject): RegistryCredentials | undefined {
  const fields = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const;
  const [auth, ...plain] = fields.map((field) => entry[field] ?? '');
  if (![auth, ...plain].every((value) => typeof value === 'string')) return undefined;
  const [username, password, identityToken, registryToken] = plain as string[];
  const decoded = auth === '' ? { username, password } : decodeAuth(auth as string);
  if (decoded === undefined) return undefined;
  return withoutEmpty({ ...decoded, identityToken, registryToken });
}

/** `auth` is base64 of `user:password`, at times padded with NUL bytes by old versions of docker. */
function decodeAuth(auth: string): { username: string; password: string } | undefined {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/** Keeps the fields that have a value. */
export function withoutEmpty(
  credentials: Readonly<Partial<Record<keyof RegistryCredentials, string | undefined>>>,
): RegistryCredentials {
  return Object.fromEntries(
    Object.entries(credentials).filter(([, value]) => value !== undefined && value !== ''),
  );
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
