import { LineCounter, parseDocument } from 'yaml';
import { KubernetesError } from './errors.ts';

/** A file to read or base64 of its content; the file wins, as in kubectl. */
export interface FileOrData {
  readonly file: string | undefined;
  readonly data: string | undefined;
}

export interface ClusterEntry {
  readonly server: string;
  readonly certificateAuthority: FileOrData;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName: string | undefined;
  readonly proxyUrl: string | undefined;
}

/** A credential plugin, as written. */
export interface ExecEntry {
  readonly command: string;
  readonly apiVersion: string | undefined;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly installHint: string | undefined;
  readonly provideClusterInfo: boolean;
}

export interface UserEntry {
  readonly clientCertificate: FileOrData;
  readonly clientKey: FileOrData;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly impersonate: { readonly user?: string; readonly groups: readonly string[] };
  readonly exec: ExecEntry | undefined;
  /** `auth-provider`, such as OIDC, as written. */
  readonly authProvider: Readonly<Record<string, unknown>> | undefined;
}

export interface ContextEntry {
  readonly cluster: string;
  readonly user: string | undefined;
  readonly namespace: string | undefined;
}

/** Entries by name, each read when it is asked for: stale ones that nobody uses may be broken. */
type Entries<T> = ReadonlyMap<string, () => T>;

/** One kubeconfig or several merged. */
export interface KubeConfigData {
  readonly currentContext: string | undefined;
  readonly contexts: Entries<ContextEntry>;
  readonly clusters: Entries<ClusterEntry>;
  readonly users: Entries<UserEntry>;
}

/** What one context of a kubeconfig comes to. */
export interface SelectedContext {
  readonly name: string;
  readonly namespace: string;
  readonly cluster: ClusterEntry;
  readonly user: UserEntry;
}

/** A user without any credentials. */
export const anonymousUser: UserEntry = {
  clientCertificate: { file: undefined, data: undefined },
  clientKey: { file: undefined, data: undefined },
  token: undefined,
  tokenFile: undefined,
  username: undefined,
  password: undefined,
  impersonate: { groups: [] },
  exec: undefined,
  authProvider: undefined,
};

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads one kubeconfig.
 *
 * `origin` names it in errors; `resolvePath` makes its paths absolute. Throws `KUBECONFIG_INVALID`,
 * never with a piece of the text, since any of it may be a secret.
 */
export function parseKubeConfig(
  text: string,
  origin: string,
  resolvePath: (path: string) => string,
): KubeConfigData {
  const root = parseYaml(text, origin);
  const named = <T>(list: string, item: string, read: (fields: Fields, path: string) => T) =>
    readNamed({ root, list, item, origin, read });
  return {
    currentContext: optionalText(root['current-context']),
    contexts: named('contexts', 'context', (fields, path) => readContext(fields, path, origin)),
    clusters: named('clusters', 'cluster', (fields, path) =>
      readCluster(fields, required(fields, 'server', path, origin), resolvePath),
    ),
    users: named('users', 'user', (fields, path) => readUser(fields, resolvePath, path, origin)),
  };
}

/** Merges as kubectl does: the first one to define a name, or the current context, wins. */
export function mergeKubeConfigs(configs: readonly KubeConfigData[]): KubeConfigData {
  const merge = <T>(maps: readonly Entries<T>[]): Entries<T> =>
    new Map([...maps].reverse().flatMap((map) => [...map]));
  return {
    currentContext: configs
      .map((config) => config.currentContext)
      .find((name) => name !== undefined),
    contexts: merge(configs.map((config) => config.contexts)),
    clusters: merge(configs.map((config) => config.clusters)),
    users: merge(configs.map((config) => config.users)),
  };
}

/** Picks a context and reads what it names; throws `KUBE_CONTEXT_UNKNOWN` with the known ones, or `KUBECONFIG_INVALID`. */
export function selectContext(
  config: KubeConfigData,
  wanted: string | undefined,
  origin: string,
): SelectedContext {
  const known = [...config.contexts.keys()].sort();
  const choice = known.length === 0 ? 'it has none' : `known are: ${known.join(', ')}`;
  const name = wanted ?? config.currentContext;
  if (name === undefined) {
    throw new KubernetesError(
      'KUBE_CONTEXT_UNKNOWN',
      `${origin} has no current-context; contexts: ${choice}`,
      { hint: 'Set the input kube-context.' },
    );
  }
  const context = config.contexts.get(name)?.();
  if (context === undefined) {
    const what = wanted === undefined ? 'current-context' : 'kube-context';
    throw new KubernetesError(
      'KUBE_CONTEXT_UNKNOWN',
      `${what} "${name}" is not in ${origin}; ${choice}`,
      { hint: 'Set the input kube-context to one of the known contexts.' },
    );
  }
  const cluster = config.clusters.get(context.cluster)?.();
  if (cluster === undefined) {
    throw invalid(origin, `context "${name}" names cluster "${context.cluster}", which is missing`);
  }
  const user = context.user === undefined ? anonymousUser : config.users.get(context.user)?.();
  if (user === undefined) {
    throw invalid(
      origin,
      `context "${name}" names user "${String(context.user)}", which is missing`,
    );
  }
  return { name, namespace: context.namespace ?? 'default', cluster, user };
}

function parseYaml(text: string, origin: string): Fields {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, lineCounter, logLevel: 'silent' });
  const error = document.errors[0];
  if (error !== undefined) {
    const { line } = lineCounter.linePos(error.pos[0]);
    throw invalid(origin, `it is no valid YAML: ${error.code} in line ${line}`);
  }
  const root = toJs(document, origin);
  if (!isFields(root)) throw invalid(origin, 'it is no YAML mapping');
  if (root.clusters === undefined && root.contexts === undefined) {
    throw invalid(origin, 'it has neither "clusters" nor "contexts"');
  }
  return root;
}

/** Aliases are resolved only here, and a wrong one throws with a piece of the text. */
function toJs(document: { toJS(): unknown }, origin: string): unknown {
  try {
    return document.toJS();
  } catch {
    throw invalid(origin, 'it is no valid YAML: an alias cannot be resolved');
  }
}

function readNamed<T>(input: {
  readonly root: Fields;
  readonly list: string;
  readonly item: string;
  readonly origin: string;
  readonly read: (fields: Fields, path: string) => T;
}): Entries<T> {
  const list = input.root[input.list] ?? [];
  if (!Array.isArray(list)) throw invalid(input.origin, `"${input.list}" is no list`);
  const result = new Map<string, () => T>();
  for (const [index, element] of (list as unknown[]).entries()) {
    // Without a name there is no way to choose it.
    const name = isFields(element) ? optionalText(element.name) : undefined;
    if (!isFields(element) || name === undefined || result.has(name)) continue;
    const path = `${input.list}[${index}].${input.item}`;
    result.set(name, () => {
      const fields = element[input.item] ?? {};
      if (!isFields(fields)) throw invalid(input.origin, `${path} is no mapping`);
      return input.read(fields, path);
    });
  }
  return result;
}

function readContext(fields: Fields, path: string, origin: string): ContextEntry {
  return {
    cluster: required(fields, 'cluster', path, origin),
    user: optionalText(fields.user),
    namespace: optionalText(fields.namespace),
  };
}

function readCluster(
  fields: Fields,
  server: string,
  resolvePath: (path: string) => string,
): ClusterEntry {
  return {
    server,
    certificateAuthority: fileOrData(fields, 'certificate-authority', resolvePath),
    insecureSkipTlsVerify: fields['insecure-skip-tls-verify'] === true,
    tlsServerName: optionalText(fields['tls-server-name']),
    proxyUrl: optionalText(fields['proxy-url']),
  };
}

function readUser(
  fields: Fields,
  resolvePath: (path: string) => string,
  path: string,
  origin: string,
): UserEntry {
  for (const key of ['as-uid', 'as-user-extra']) {
    if (fields[key] === undefined) continue;
    throw invalid(origin, `${path}.${key} is not supported`, 'Use a user without it.');
  }
  const tokenFile = optionalText(fields.tokenFile) ?? optionalText(fields['token-file']);
  const impersonated = optionalText(fields.as);
  const exec = fields.exec;
  const authProvider = fields['auth-provider'];
  return {
    clientCertificate: fileOrData(fields, 'client-certificate', resolvePath),
    clientKey: fileOrData(fields, 'client-key', resolvePath),
    token: optionalText(fields.token),
    tokenFile: tokenFile === undefined ? undefined : resolvePath(tokenFile),
    username: optionalText(fields.username),
    password: optionalText(fields.password),
    impersonate: {
      ...(impersonated === undefined ? {} : { user: impersonated }),
      groups: texts(fields['as-groups']),
    },
    exec: isFields(exec) ? readExec(exec, resolvePath, `${path}.exec`, origin) : undefined,
    authProvider: isFields(authProvider) ? authProvider : undefined,
  };
}

function readExec(
  fields: Fields,
  resolvePath: (path: string) => string,
  path: string,
  origin: string,
): ExecEntry {
  const command = required(fields, 'command', path, origin);
  const env = Array.isArray(fields.env) ? (fields.env as unknown[]).filter(isFields) : [];
  return {
    // Only a command with a slash is a path; a bare name is looked up in PATH.
    command: command.includes('/') ? resolvePath(command) : command,
    apiVersion: optionalText(fields.apiVersion),
    args: texts(fields.args),
    env: env.map((entry) => ({
      name: optionalText(entry.name) ?? '',
      value: optionalText(entry.value) ?? '',
    })),
    installHint: optionalText(fields.installHint),
    provideClusterInfo: fields.provideClusterInfo === true,
  };
}

function fileOrData(
  fields: Fields,
  name: string,
  resolvePath: (path: string) => string,
): FileOrData {
  const file = optionalText(fields[name]);
  return {
    file: file === undefined ? undefined : resolvePath(file),
    data: optionalText(fields[`${name}-data`]),
  };
}

function required(fields: Fields, key: string, path: string, origin: string): string {
  const text = optionalText(fields[key]);
  if (text === undefined) throw invalid(origin, `${path}.${key} is missing`);
  return text;
}

/** YAML turns a name such as `123` into a number, which is text to us. */
function optionalText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(
  origin: string,
  why: string,
  hint = 'Compare it with the output of `kubectl config view`.',
): KubernetesError {
  return new KubernetesError('KUBECONFIG_INVALID', `${origin} cannot be used: ${why}`, { hint });
}
