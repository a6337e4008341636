import { resolve } from 'node:path';
import { invalidInput, type InputError } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { didYouMean } from './nearest-name.ts';
import type { RegistryHostConfig } from './options.ts';
import { isRegistryHost, parseRegistryHost } from './registry-host.ts';
import type { World } from './world.ts';
import { isYamlMap, parseYamlMap, type YamlMap, type YamlTree } from './yaml-tree.ts';

const input = 'registry-config';
const fields = ['mirrors', 'http', 'insecure', 'ca', 'cert', 'key'];
const expected =
  'host: {mirrors: […], http: bool, insecure: bool, ca: path or PEM, cert: path or PEM, key: path or PEM}';

/** `registry-config`, with paths made absolute and looked at. */
export function parseRegistryConfig(
  reader: InputReader,
  world: World,
): Readonly<Record<string, RegistryHostConfig>> {
  const text = reader.string(input);
  if (text === '') return {};
  const { problems } = reader;
  const hosts = problems.guard([], () => [...parseYamlMap(input, text)]);
  return Object.fromEntries(
    problems.guardEach(hosts, ([key, value]) => {
      const host = parseRegistryHost(input, key);
      return [host, hostConfig(host, { value, world })];
    }),
  );
}

/** The private keys that were given as text. */
export function secretsOfRegistryConfig(
  config: Readonly<Record<string, RegistryHostConfig>>,
): string[] {
  return Object.values(config).flatMap(({ key }) => (key !== undefined && isPem(key) ? [key] : []));
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

function hostConfig(
  host: string,
  { value, world }: { readonly value: YamlTree; readonly world: World },
): RegistryHostConfig {
  if (!isYamlMap(value)) throw wrong(host, 'is not a map');
  const unknown = [...value.keys()].find((key) => !fields.includes(key));
  if (unknown !== undefined) {
    const hint = didYouMean(unknown, fields);
    throw wrong(host, `has the unknown key \`${unknown}\``, hint);
  }
  const file = (key: string) => pathOrPem(host, { key, value, world });
  const config: RegistryHostConfig = {
    mirrors: mirrors(host, value.get('mirrors')),
    http: flag(host, { key: 'http', value }),
    insecure: flag(host, { key: 'insecure', value }),
    ca: file('ca'),
    cert: file('cert'),
    key: file('key'),
  };
  if ((config.cert === undefined) !== (config.key === undefined)) {
    throw wrong(host, 'needs `cert` and `key` together');
  }
  return config;
}

function mirrors(host: string, value: YamlTree | undefined): string[] {
  if (value === undefined || value === '') return [];
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) throw wrong(host, 'has `mirrors` that are not a list');
  return list.map((element: YamlTree) => {
    const text = typeof element === 'string' ? element.trim() : '';
    if (isMirror(text)) return text;
    throw wrong(host, 'has a mirror that is not host[:port][/path]');
  });
}

function isMirror(text: string): boolean {
  const [host = '', ...path] = text.split('/');
  return isRegistryHost(host) && path.every((part) => /^[\w.-]+$/.test(part));
}

function flag(host: string, { key, value }: { key: string; value: YamlMap }): boolean {
  const word = value.get(key) ?? 'false';
  if (typeof word === 'string' && /^(?:true|True|TRUE)$/.test(word)) return true;
  if (typeof word === 'string' && /^(?:false|False|FALSE)$/.test(word)) return false;
  throw wrong(host, `has a \`${key}\` that is not true or false`);
}

function pathOrPem(
  host: string,
  { key, value, world }: { key: string; value: YamlMap; world: World },
): string | undefined {
  const text = value.get(key);
  if (text === undefined || text === '') return undefined;
  if (typeof text !== 'string') throw wrong(host, `has a \`${key}\` that is not a text`);
  if (isPem(text)) return text;
  const path = resolve(world.cwd, text);
  // What is neither PEM nor a file may be a key that lost its first line: not shown.
  if (world.pathKind(path) !== 'file') {
    throw wrong(host, `has a \`${key}\` that is neither PEM text nor the path of a file`);
  }
  return path;
}

function wrong(host: string, problem: string, hint?: string): InputError {
  return invalidInput({ input, value: host, problem, expected, hint });
}
