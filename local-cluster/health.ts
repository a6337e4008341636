/** Whether the cluster runs, as what, and how well: cheap enough to ask before every test run. */
import { createHash } from 'node:crypto';
import { accessSync, constants, readFileSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { retry } from './command.ts';
import { readyNodes } from './kubernetes-api.ts';
import { clusterNodes, sourceFolder, statePath } from './layout.ts';
import { pkiPath } from './pki.ts';
import { daemonPid } from './processes.ts';
import { registryAnswers } from './registry.ts';

/** What was started; written last, so its presence says that the start went through. */
export interface ClusterState {
  /** Digest of the sources that it was started from. */
  definition: string;
  nodeCount: number;
  bin: string;
}

/** One part of the cluster, for `status`. */
export interface PartStatus {
  name: string;
  healthy: boolean;
  detail: string;
}

const stateFile = statePath('state.json');

/** Sources that only steer the command line: changing them does not make another cluster. */
const steering = new Set(['cluster.ts', 'health.ts', 'environment.ts', 'command.ts', 'README.md']);

/** Digest of everything that defines the cluster: another digest is another cluster. */
export function definitionStamp(): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(sourceFolder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || steering.has(entry.name)) continue;
    hash.update(entry.name).update(readFileSync(join(entry.parentPath, entry.name)));
  }
  return hash.digest('hex');
}

/** Reads what was started, or undefined when nothing was, or not to the end. */
export async function readState(): Promise<ClusterState | undefined> {
  const text = await readFile(stateFile, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as ClusterState);
}

/** Records what was started. */
export async function writeState(state: ClusterState): Promise<void> {
  await writeFile(stateFile, JSON.stringify(state));
}

/** Checks every daemon, and asks the API server and the registry. */
export async function checkParts(nodeCount: number): Promise<PartStatus[]> {
  const nodes = clusterNodes(nodeCount);
  const [ready, registry] = await Promise.all([readyNodes(nodes), registryAnswers()]);
  return [
    ...daemonNames(nodeCount).map((name) => {
      const pid = daemonPid(name);
      const detail = pid === undefined ? 'not running' : `running, process ${pid}`;
      return { name, healthy: pid !== undefined, detail };
    }),
    ...nodes.map(({ name, arch }) => {
      const healthy = ready.includes(name);
      return { name, healthy, detail: healthy ? `ready, ${arch}` : 'not ready' };
    }),
    { name: 'registry API', healthy: registry, detail: registry ? 'answers' : 'does not answer' },
  ];
}

/**
 * Whether the cluster runs and works.
 *
 * A daemon that is gone does not come back, but one that is slow to answer under load gets time:
 * starting anew would take other people's work down. Nobody can tell without the administrator's key,
 * which users get by way of `up` as root.
 */
export async function isHealthy({ nodeCount }: ClusterState): Promise<boolean> {
  if (!isReadable(pkiPath('admin.key'))) return false;
  const healthy = await retry(async () => {
    const dead = daemonNames(nodeCount).some((name) => daemonPid(name) === undefined);
    if (dead) return false;
    return (await checkParts(nodeCount)).every((part) => part.healthy) ? true : undefined;
  }, 20_000);
  return healthy === true;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function daemonNames(nodeCount: number): string[] {
  return [
    ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'registry'],
    ...clusterNodes(nodeCount).flatMap(({ name }) => [`containerd-${name}`, `kubelet-${name}`]),
  ];
}
