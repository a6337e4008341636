import { BlockList, isIP, isIPv6 } from 'node:net';
import { KubernetesError } from './errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment asks for, by the rules of Go's `httpproxy`, which kubectl follows.
 *
 * `HTTPS_PROXY` or `HTTP_PROXY` by the scheme of the server, either case; `NO_PROXY` has names,
 * `.suffixes`, addresses, CIDR ranges, each with an optional port, or `*`. Loopback is never proxied.
 * Throws `KUBE_API_UNREACHABLE` for what is no such proxy.
 */
export function proxyFromEnvironment(server: URL, env: Env): URL | undefined {
  const { name, value } = setting(env, server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (value === '') return undefined;
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || isLoopback(host)) return undefined;
  const port = server.port === '' ? (server.protocol === 'https:' ? '443' : '80') : server.port;
  const exceptions = setting(env, 'NO_PROXY').value.split(',');
  if (exceptions.some((entry) => exempts(entry.trim().toLowerCase(), host, port))) return undefined;
  const proxy = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (proxy !== null && /^https?:$/.test(proxy.protocol)) return proxy;
  // Without the value, which may have a password.
  throw new KubernetesError(
    'KUBE_API_UNREACHABLE',
    `the variable ${name} names no http or https proxy for ${server.host}`,
    {
      hint: `Correct ${name}, such as http://proxy.example:3128, or add ${server.hostname} to NO_PROXY.`,
    },
  );
}

/** Upper case wins, but an empty one is as good as unset. */
function setting(env: Env, name: string): { readonly name: string; readonly value: string } {
  const found = [name, name.toLowerCase()].find((each) => (env[each] ?? '') !== '') ?? name;
  return { name: found, value: env[found] ?? '' };
}

function exempts(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  const [range, prefix] = entry.split('/');
  if (range !== undefined && prefix !== undefined && isIP(range) !== 0) {
    const bits = Number(prefix);
    const valid = Number.isInteger(bits) && bits >= 0 && bits <= (isIPv6(range) ? 128 : 32);
    if (isIP(host) === 0 || !valid) return false;
    const list = new BlockList();
    list.addSubnet(range, bits, family(range));
    return list.check(host, family(host));
  }
  const [name, onlyPort] = splitPort(entry);
  if (onlyPort !== undefined && onlyPort !== port) return false;
  if (isIP(name) !== 0) return name === host;
  const suffix = name.replace(/^\*?\./, '');
  return (!/^\*?\./.test(name) && host === suffix) || host.endsWith(`.${suffix}`);
}

function splitPort(entry: string): [name: string, port: string | undefined] {
  if (isIP(entry) !== 0) return [entry, undefined];
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(entry);
  return match === null ? [entry.replace(/^\[|\]$/g, ''), undefined] : [match[1] ?? '', match[2]];
}

function isLoopback(host: string): boolean {
  return host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
