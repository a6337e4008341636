/**
 * A daemon that exists: `driver: remote` with `endpoint`.
 *
 * Follows the remote driver of docker/buildx (driver/remote/factory.go) and, for the variables with
 * certificates, docker/setup-buildx-action.
 */
import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import { type DriverOptionEntry, gatherDriverOptions } from './driver-option-entries.ts';
import { invalidOption } from './driver-option-names.ts';
import { parseDriverOptions } from './driver-options.ts';
import { InputError, invalidInput } from './errors.ts';
import type { KubernetesDriverOptions, RemoteEndpoint, RemoteTls } from './options.ts';
import type { Problems } from './problems.ts';
import type { World } from './world.ts';

/** Options of this driver alone, with the field each fills. */
const tlsOptions = new Map([
  ['cacert', 'ca'],
  ['cert', 'cert'],
  ['key', 'key'],
  ['servername', 'serverName'],
] as const);
/** Options that mean the same for pods. */
const sharedOptions = new Set(['default-load', 'timeout']);

/** All options that have a meaning for a remote daemon. */
export const remoteOptionNames: readonly string[] = [...tlsOptions.keys(), ...sharedOptions];

const endpointForm = 'tcp://host:port or unix:///path';

/** What stands for one remote node in the inputs. */
export interface RemoteNodeInput {
  readonly endpoint: string;
  readonly entries: readonly DriverOptionEntry[];
  /** Of the node among all of the builder, from 0. */
  readonly index: number;
  readonly world: World;
  readonly problems: Problems;
}

/** The endpoint, and the driver options that have a meaning for it. */
export function parseRemoteNode({ endpoint, entries, index, world, problems }: RemoteNodeInput): {
  readonly remote: RemoteEndpoint;
  readonly driver: KubernetesDriverOptions;
} {
  const url = problems.guard('', () => parseUrl(endpoint));
  const isForTls = ({ name }: DriverOptionEntry): boolean => tlsField(name) !== undefined;
  const ownOptions = entries.filter(isForTls);
  const given = gatherDriverOptions(
    entries.filter((entry) => !isForTls(entry)),
    problems,
    remoteOptionNames,
  );
  for (const option of given.keys()) {
    if (!sharedOptions.has(option)) problems.add(onlyForPods(`driver option \`${option}\``));
  }
  const shared = new Map([...given].filter(([option]) => sharedOptions.has(option)));
  const options = problems.guard({}, () => readTlsOptions(ownOptions, { world, problems }));
  const variables = url.startsWith('tcp://') ? readVariables(index, { world, problems }) : {};
  const tls = problems.guard(undefined, () => complete({ ...variables, ...options }, index));
  return { remote: { url, tls }, driver: parseDriverOptions(shared, problems) };
}

/** An `INPUT_CONTRADICTION` error about a setting that shapes pods, beside a remote daemon. */
export function onlyForPods(what: string): InputError {
  return new InputError(
    'INPUT_CONTRADICTION',
    `${what} shapes pods, and a daemon at an \`endpoint\` has none`,
    { hint: 'Remove it, or let the daemon run in the cluster.' },
  );
}

function parseUrl(value: string): string {
  const [, host, port] = /^tcp:\/\/(\[[^\]]*\]|[\w.-]+):(\d{1,5})\/?$/.exec(value) ?? [];
  const isHost = host?.startsWith('[') === true ? isIPv6(host.slice(1, -1)) : host !== undefined;
  if (isHost && Number(port) >= 1 && Number(port) <= 65_535) return value.replace(/\/$/, '');
  if (/^unix:\/\/\/[^/\0]/.test(value)) return value;
  throw invalidInput({
    input: 'endpoint',
    value,
    problem: 'is not an address of a daemon',
    expected: endpointForm,
  });
}

type TlsFields = Partial<Record<keyof RemoteTls, string>>;

function tlsField(option: string): keyof RemoteTls | undefined {
  return (tlsOptions as ReadonlyMap<string, keyof RemoteTls>).get(option.toLowerCase());
}

function readTlsOptions(
  entries: readonly DriverOptionEntry[],
  { world, problems }: { readonly world: World; readonly problems: Problems },
): TlsFields {
  const fields = problems.guardEach(entries, ({ name, value }): [string, string] => {
    const field = tlsField(name) ?? '';
    if (typeof value !== 'string') {
      throw invalidOption({ option: name, problem: 'has a list or a map', expected: 'one value' });
    }
    if (field === 'serverName' || value === '') return [field, value];
    const path = resolve(world.cwd, value);
    const text = world.pathKind(path) === 'file' ? world.readText(path) : undefined;
    // What is no path may be the key itself.
    if (text === undefined || !isPem(text)) {
      throw invalidOption({
        option: name,
        problem: 'is not the path of a PEM file that can be read',
        expected: `a path such as ${name}=certs/${name}.pem`,
      });
    }
    return [field, text];
  });
  return Object.fromEntries(fields);
}

function readVariables(
  index: number,
  { world, problems }: { readonly world: World; readonly problems: Problems },
): TlsFields {
  const variables = { ca: 'CACERT', cert: 'CERT', key: 'KEY' };
  const fields = problems.guardEach(Object.entries(variables), ([field, suffix]) => {
    const name = variableOf(index, suffix);
    const text = world.env[name] ?? '';
    if (text === '' || isPem(text)) return [field, text];
    throw new InputError('INPUT_INVALID', `environment variable \`${name}\` is not PEM text`, {
      hint: 'It holds the certificate or key itself, as from a secret, not a path.',
    });
  });
  return Object.fromEntries(fields) as TlsFields;
}

function variableOf(index: number, suffix: string): string {
  return `BUILDER_NODE_${index}_AUTH_TLS_${suffix}`;
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

/** No TLS unless something of it was given. */
function complete(fields: TlsFields, index: number): RemoteTls | undefined {
  const given = (field: keyof RemoteTls): string | undefined =>
    fields[field] === '' ? undefined : fields[field];
  const tls: RemoteTls = {
    ca: given('ca'),
    cert: given('cert'),
    key: given('key'),
    serverName: given('serverName'),
  };
  if (Object.values(tls).every((value) => value === undefined)) return undefined;
  if ((tls.cert === undefined) === (tls.key === undefined)) return tls;
  const [there, missing] = tls.key === undefined ? ['cert', 'key'] : ['key', 'cert'];
  throw new InputError(
    'INPUT_CONTRADICTION',
    `input \`endpoint\`: its TLS has a ${there} and no ${missing}`,
    {
      hint: `Set \`${variableOf(index, missing.toUpperCase())}\` or \`${missing}=\` in \`driver-opts\`.`,
    },
  );
}
