/** The nodes' own corners of the control group hierarchies, versions 1 and 2. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { clusterNodes } from './layout.ts';
import type { ClusterNode } from './layout.ts';

const mountPoint = '/sys/fs/cgroup';

/** Makes the group that the kubelet of the node puts its pods into. */
export function makeCgroup(node: ClusterNode): void {
  if (isUnified()) makeUnifiedCgroup(node);
  else for (const hierarchy of hierarchies()) makeCgroupIn(hierarchy, node);
}

/** Kills what is left in the nodes' groups and removes them. */
export async function removeCgroups(): Promise<void> {
  // The kernel takes a moment to take a killed process out of its group.
  for (let attempt = 0; attempt < 100; attempt++) {
    const groups = ourCgroups();
    if (groups.length === 0) return;
    for (const group of groups) for (const pid of processesOf(group)) kill(pid);
    for (const group of groups) remove(group);
    await sleep(20);
  }
}

/** Every group below the nodes' own, deepest first, in all hierarchies. */
export function ourCgroups(): string[] {
  const roots = (isUnified() ? [mountPoint] : hierarchies()).flatMap((hierarchy) =>
    clusterNodes().map((node) => join(hierarchy, node.cgroup)),
  );
  return roots.filter((root) => existsSync(root)).flatMap(depthFirst);
}

function isUnified(): boolean {
  return existsSync(join(mountPoint, 'cgroup.controllers'));
}

function hierarchies(): string[] {
  return readdirSync(mountPoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(mountPoint, entry.name));
}

function makeUnifiedCgroup(node: ClusterNode): void {
  const available = readFileSync(join(mountPoint, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const group = join(mountPoint, node.cgroup);
  mkdirSync(group, { recursive: true });
  for (const parent of [mountPoint, group]) {
    for (const controller of available) enableController(parent, controller);
  }
}

/** One at a time: some machines refuse a controller, and the kubelet names those it cannot do without. */
function enableController(parent: string, controller: string): void {
  try {
    writeFileSync(join(parent, 'cgroup.subtree_control'), `+${controller}`);
  } catch {
    // Refused.
  }
}

function makeCgroupIn(hierarchy: string, node: ClusterNode): void {
  const group = join(hierarchy, node.cgroup);
  mkdirSync(group, { recursive: true });
  // A fresh cpuset has no processors and no memory, so nothing could run in it.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const source = join(hierarchy, file);
    if (existsSync(source)) writeFileSync(join(group, file), readFileSync(source));
  }
}

function depthFirst(group: string): string[] {
  const children = readdirSync(group, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  return [...children.flatMap((entry) => depthFirst(join(group, entry.name))), group];
}

function processesOf(group: string): number[] {
  try {
    return readFileSync(join(group, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(Number);
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

function remove(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // Still has processes: the next attempt gets it.
  }
}
