/** Taking everything down again, also what a killed or half-started cluster has left behind. */
import { existsSync, readFileSync, readdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { removeCgroups } from './cgroups.ts';
import { retry, run } from './command.ts';
import { unregisterEmulator } from './emulation.ts';
import { stateFolder } from './layout.ts';
import { removeNetwork } from './network.ts';

/** Programs that the cluster runs, in the order in which they must go. */
const programsInOrder: readonly (readonly string[])[] = [
  // The kubelet first: it would start again what the others are stopped with.
  ['kubelet', 'kube-controller-manager', 'kube-scheduler'],
  ['kube-apiserver', 'etcd', 'docker-registry', 'containerd', 'ctr'],
  ['containerd-shim-runc-v2', 'runc'],
];

/** Folders that kubelet and containerd make in fixed places, innermost first. */
const sharedFolders = [
  '/run/containerd/s',
  '/run/containerd',
  '/var/lib/kubelet/device-plugins',
  '/var/lib/kubelet',
  '/var/lib/cni/results',
  '/var/lib/cni',
  '/var/log/containers',
];

/** Removes every trace of the cluster from the machine; the cache of programs and images stays. */
export async function removeCluster(): Promise<void> {
  for (const programs of programsInOrder) {
    const pids = ourProcesses(programs);
    for (const pid of pids) kill(pid);
    await retry(() => (pids.some(isRunning) ? undefined : true), 5000);
  }
  // Containers live on when containerd and the shims are gone; their groups tell which they are.
  await removeCgroups();
  await removeNetwork();
  await unmountAll();
  await unregisterEmulator();
  await removeLogLinks();
  for (const folder of sharedFolders) {
    await removeDeadSockets(folder);
    removeIfEmpty(folder);
  }
  await rm(stateFolder, { recursive: true, force: true });
}

/** Processes of those programs that work on our state folder: others' daemons are not ours. */
export function ourProcesses(programs: readonly string[] = programsInOrder.flat()): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      const [program = '', ...args] = commandLine(pid);
      const ours = args.some((argument) => argument.includes(`${stateFolder}/`));
      return ours && programs.includes(basename(program));
    })
    .map(Number);
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(join('/proc', pid, 'cmdline'), 'utf8').split('\0');
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function isRunning(pid: number): boolean {
  return commandLine(String(pid)).length > 1;
}

/** Unmounts what is mounted below our folder, innermost first; mounts can cover one another. */
async function unmountAll(): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const mounts = await ourMounts();
    if (mounts.length === 0) return;
    await run('umount', ['--lazy', ...mounts.reverse()]).catch(() => undefined);
  }
}

/** Mount points below our folder, in the order of mounting. */
export async function ourMounts(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${stateFolder}/`));
}

/** Removes sockets that killed shims and kubelets left in a folder that is not ours alone. */
async function removeDeadSockets(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const listening = await readFile('/proc/net/unix', 'utf8');
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isSocket() && !listening.includes(path)) await rm(path);
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not there, or in use by others.
  }
}

/** The kubelet links the logs of its containers in a fixed folder of the machine. */
async function removeLogLinks(): Promise<void> {
  const folder = '/var/log/containers';
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(folder, entry.name);
    if (readlinkSync(path).startsWith(`${stateFolder}/`)) await rm(path);
  }
}
