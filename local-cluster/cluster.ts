/**
 * The local cluster's command line: a real Kubernetes on this machine, for tests and for the demo.
 *
 *     npm run cluster -- up [--nodes 1|2] | down | status | env
 *
 * Exits with 3 where the machine cannot run it at all.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { provideBinaries } from './binaries.ts';
import { removeCluster } from './cleanup.ts';
import { ClusterError, say, secondsSince } from './command.ts';
import {
  describeEnvironment,
  removeEnvironment,
  shellExports,
  writeEnvironment,
} from './environment.ts';
import { checkParts, definitionStamp, isHealthy, readState, writeState } from './health.ts';
import type { ClusterState } from './health.ts';
import { provideImages } from './images.ts';
import { machineLock, projectFolder } from './layout.ts';
import { withLock } from './lock.ts';
import { checkMachine, installPackages, isRoot } from './machine.ts';
import { grantAdminTo } from './pki.ts';
import { startCluster } from './start.ts';

const usage = 'Usage: npm run cluster -- up [--nodes 1|2] | down | status | env';

async function main(): Promise<number> {
  const { command, nodeCount } = parseCommandLine();
  switch (command) {
    case 'up':
      return up(nodeCount);
    case 'down':
      return down();
    case 'status':
      return status();
    case 'env':
      process.stdout.write(await shellExports());
      return 0;
    default:
      throw new ClusterError(usage);
  }
}

function parseCommandLine(): { command: string; nodeCount: number } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { nodes: { type: 'string', default: '2' } },
    });
    if (positionals.length !== 1 || !/^[12]$/.test(values.nodes)) throw new Error();
    return { command: positionals[0] ?? '', nodeCount: Number(values.nodes) };
  } catch {
    throw new ClusterError(usage);
  }
}

async function up(nodeCount: number): Promise<number> {
  let state = await runningCluster(nodeCount);
  if (state === undefined) {
    await checkMachine();
    await installPackages();
    const binaries = await provideBinaries();
    const images = await provideImages(binaries);
    if (isRoot()) {
      await withLock(machineLock, async () => {
        // Somebody else may have started it while we waited for the lock.
        if (await runningCluster(nodeCount)) return;
        await restart(nodeCount, () => startCluster(nodeCount, binaries, images), binaries.bin);
      });
    } else {
      // Made now, as ours: the run as root then finds the folder and does not make it root's.
      await mkdir(projectFolder, { recursive: true });
      const exitCode = runAsRoot();
      if (exitCode !== 0) return exitCode;
    }
    state = await readState();
  }
  if (state === undefined) throw new ClusterError('The cluster was taken down meanwhile');
  await shareWithCaller();
  await writeEnvironment(describeEnvironment(nodeCount, await programsFor(state)));
  return 0;
}

/** The state of the cluster if it is the wanted one and works. */
async function runningCluster(nodeCount: number): Promise<ClusterState | undefined> {
  const state = await readState();
  const wanted = state?.definition === definitionStamp() && state.nodeCount === nodeCount;
  return state && wanted && (await isHealthy(state)) ? state : undefined;
}

async function restart(nodeCount: number, start: () => Promise<void>, bin: string): Promise<void> {
  const begin = performance.now();
  // Also when nothing seems to run: a killed cluster leaves mounts, links and groups behind.
  await removeCluster();
  say(`Starting a cluster of ${nodeCount} node${nodeCount === 1 ? '' : 's'}`);
  await start();
  await writeState({ definition: definitionStamp(), nodeCount, bin });
  say(`The cluster is up, after ${secondsSince(begin)}`);
}

/** The programs that the cluster runs with, or our own copies if those are in another's home. */
async function programsFor({ bin }: ClusterState): Promise<string> {
  return existsSync(bin) ? bin : (await provideBinaries()).bin;
}

/** Under sudo, the person behind it must be able to use the cluster afterwards. */
async function shareWithCaller(): Promise<void> {
  const caller = process.env.SUDO_UID;
  if (isRoot() && caller !== undefined) await grantAdminTo(Number(caller));
}

/** Runs this same command line as root, with the same cache folder. */
function runAsRoot(): number {
  const kept = ['HOME', 'PATH', 'XDG_CACHE_HOME', 'GOPATH', 'GOCACHE', 'GOMODCACHE', 'GOPROXY'];
  const variables = kept
    .filter((name) => process.env[name] !== undefined)
    .map((name) => `${name}=${process.env[name]}`);
  const script = fileURLToPath(import.meta.url);
  const args = ['-n', 'env', ...variables, process.execPath, script, ...process.argv.slice(2)];
  const { status, error } = spawnSync('sudo', args, { stdio: 'inherit' });
  if (error) throw new ClusterError(`sudo: ${error.message}`);
  return status ?? 1;
}

async function down(): Promise<number> {
  await removeEnvironment();
  if (!isRoot()) return runAsRoot();
  const begin = performance.now();
  await withLock(machineLock, removeCluster);
  say(`The cluster is down, after ${secondsSince(begin)}`);
  return 0;
}

async function status(): Promise<number> {
  const state = await readState();
  if (state === undefined) {
    process.stdout.write('The local cluster is not up\n');
    return 1;
  }
  const parts = await checkParts(state.nodeCount);
  const width = Math.max(...parts.map((part) => part.name.length));
  for (const { name, detail } of parts) {
    process.stdout.write(`${name.padEnd(width)}  ${detail}\n`);
  }
  if (state.definition !== definitionStamp()) {
    process.stdout.write('Started from other sources than these: the next `up` restarts it\n');
  }
  return parts.every((part) => part.healthy) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof ClusterError ? error.message : String((error as Error).stack));
  // At once: whatever else was being started must not go on for a cluster that will not be.
  process.exit(error instanceof ClusterError ? error.exitCode : 1);
}
