/** What the machine must bring along, and the Debian packages that the cluster takes from it. */
import { constants, accessSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { goModules } from './binaries.ts';
import { CannotRunHere, run, say, secondsSince, succeeds } from './command.ts';
import { sourceFolder } from './layout.ts';

/** Debian's and Ubuntu's packages that provide what is not built from source. */
const packages = [
  'busybox-static',
  'ca-certificates',
  'catatonit',
  'containernetworking-plugins',
  'docker-registry',
  'etcd-server',
  'gcc',
  'iproute2',
  'iptables',
  'libc6-dev',
  'libseccomp-dev',
  'openssl',
  'pkg-config',
  'qemu-user-static',
  'uidmap',
  'util-linux',
];

/** Services that Debian starts by itself on installing their packages; ours are started by hand. */
const unwantedServices = ['etcd', 'docker-registry'];

/** Whether this process may do everything; others go through sudo. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Puts `sudo -n` before a command where that is needed. */
export function privileged(...argv: string[]): [string, string[]] {
  const [command = '', ...args] = isRoot() ? argv : ['sudo', '-n', ...argv];
  return [command, args];
}

/** Throws one message with everything that keeps the cluster from running on this machine. */
export async function checkMachine(): Promise<void> {
  const missing = await missingFromMachine();
  if (missing.length === 0) return;
  throw new CannotRunHere(
    [
      'The local cluster cannot run on this machine:',
      ...missing.map((reason) => `  - ${reason}`),
      'Set KUBECONFIG to use another cluster instead, and KBA_REGISTRY (host:port) to a registry',
      'that both this machine and its pods reach.',
    ].join('\n'),
  );
}

async function missingFromMachine(): Promise<string[]> {
  const missing: string[] = [];
  const platform = `${process.platform}/${process.arch}`;
  if (platform !== 'linux/x64') missing.push(`it needs linux/x64, this is ${platform}`);
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-query')) {
    missing.push('apt-get is missing: it needs Debian or Ubuntu');
  }
  missing.push(...(await missingRights()), ...(await missingGo()));
  if (!existsSync('/sys/fs/cgroup/cgroup.controllers') && !existsSync('/sys/fs/cgroup/memory')) {
    missing.push('no control groups are mounted at /sys/fs/cgroup');
  }
  return missing;
}

async function missingRights(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  if (!(await succeeds(...privileged('true'))))
    return ['it needs root, or sudo without a password'];
  const missing: string[] = [];
  if (!(await succeeds(...privileged('unshare', '--net', '--mount', 'true')))) {
    missing.push('it may not make network and mount namespaces (a container without privileges?)');
  }
  if (isRoot() && !isWritable('/sys/fs/cgroup')) missing.push('/sys/fs/cgroup is read-only');
  return missing;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function missingGo(): Promise<string[]> {
  const needed = neededGo();
  const found = await run('go', ['env', 'GOVERSION']).catch(() => undefined);
  if (found === undefined) return [`Go ${needed} or later is not installed (no \`go\` on PATH)`];
  const version = found.trim().replace(/^go/, '');
  return compareVersions(version, needed) < 0
    ? [`Go ${version} is too old: it needs ${needed} or later`]
    : [];
}

/** The highest Go version that one of the modules asks for. */
function neededGo(): string {
  return goModules
    .map((module) => readFileSync(join(sourceFolder, 'modules', module.name, 'go.mod'), 'utf8'))
    .map((text) => /^go (\S+)$/m.exec(text)?.[1] ?? '0')
    .reduce((highest, version) => (compareVersions(version, highest) > 0 ? version : highest));
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** Installs the Debian packages that are missing; asks for new package lists only when it must. */
export async function installPackages(): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const start = performance.now();
  say(`Installing Debian packages: ${missing.join(' ')}`);
  await aptInstall(missing).catch(async () => {
    await run(...privileged('apt-get', '-q', 'update'));
    await aptInstall(missing);
  });
  await stopUnwantedServices(missing);
  say(`Installed in ${secondsSince(start)}`);
}

async function missingPackages(): Promise<string[]> {
  const format = '${db:Status-Status} ${Package}\n';
  const known = await run('dpkg-query', ['-W', '-f', format]);
  const installed = new Set(
    known
      .split('\n')
      .filter((line) => line.startsWith('installed '))
      .map((line) => line.slice('installed '.length)),
  );
  return packages.filter((name) => !installed.has(name));
}

async function aptInstall(names: readonly string[]): Promise<void> {
  const options = ['-q', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300'];
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_SUSPEND=1'];
  await run(...privileged(...env, 'apt-get', 'install', ...options, ...names));
}

async function stopUnwantedServices(installed: readonly string[]): Promise<void> {
  if (!existsSync('/run/systemd/system')) return;
  for (const service of unwantedServices) {
    if (!installed.some((name) => name.startsWith(service))) continue;
    await run(...privileged('systemctl', 'disable', '--now', service));
  }
}
