/** What the rest of the project gets to know about the cluster: `.cluster/env.json`. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import { ClusterError } from './command.ts';
import { clusterNodes, projectFolder, registryAddress, statePath } from './layout.ts';
import { kubeconfigPath } from './pki.ts';

/** How to reach and use the cluster. */
export interface ClusterEnvironment {
  kubeconfig: string;
  /** Host and port of the registry, the same for this machine, the nodes and the pods. */
  registry: string;
  nodes: { name: string; arch: string }[];
  /** References that the nodes can pull, and have already. */
  images: { buildkit: string; buildkitRootless: string | null };
  /** Configuration for BuildKit in pods that makes the registry known to it. */
  buildkitdConfig: string;
  /** Folder with kubectl, buildctl, buildx, act and actionlint. */
  bin: string;
}

const environmentFile = join(projectFolder, 'env.json');

/** The environment of the running cluster. */
export function describeEnvironment(nodeCount: number, bin: string): ClusterEnvironment {
  const repository = `${registryAddress}/moby/buildkit`;
  return {
    kubeconfig: kubeconfigPath('admin'),
    registry: registryAddress,
    nodes: clusterNodes(nodeCount).map(({ name, arch }) => ({ name, arch })),
    images: {
      buildkit: `${repository}:buildx-stable-1`,
      buildkitRootless: `${repository}:buildx-stable-1-rootless`,
    },
    buildkitdConfig: buildkitdConfigPath(),
    bin,
  };
}

/** Writes the configuration that makes BuildKit take from the registry what docker.io has. */
export async function writeBuildkitdConfig(): Promise<void> {
  const content = `[registry."${registryAddress}"]
  http = true

[registry."docker.io"]
  mirrors = ["${registryAddress}"]
`;
  await writeFile(buildkitdConfigPath(), content);
}

function buildkitdConfigPath(): string {
  return statePath('buildkitd.toml');
}

/** Writes the environment for this clone of the project. */
export async function writeEnvironment(environment: ClusterEnvironment): Promise<void> {
  const text = `${JSON.stringify(environment, null, 2)}\n`;
  const present = await readFile(environmentFile, 'utf8').catch(() => undefined);
  if (present === text) return;
  await mkdir(projectFolder, { recursive: true });
  const temporary = `${environmentFile}.${process.pid}`;
  await writeFile(temporary, text);
  await rename(temporary, environmentFile);
}

/** Removes this clone's environment. */
export async function removeEnvironment(): Promise<void> {
  await rm(environmentFile, { force: true });
}

/** The environment as commands for a shell to evaluate. */
export async function shellExports(): Promise<string> {
  if (!existsSync(environmentFile)) {
    throw new ClusterError('The local cluster is not up: run `npm run cluster -- up`');
  }
  const text = await readFile(environmentFile, 'utf8');
  const { kubeconfig, registry, images, buildkitdConfig, bin } = JSON.parse(
    text,
  ) as ClusterEnvironment;
  const variables: [string, string][] = [
    ['KUBECONFIG', kubeconfig],
    ['KBA_REGISTRY', registry],
    ['KBA_BUILDKIT_IMAGE', images.buildkit],
    ['KBA_BUILDKIT_ROOTLESS_IMAGE', images.buildkitRootless ?? ''],
    ['KBA_BUILDKITD_CONFIG', buildkitdConfig],
  ];
  return [
    ...variables.map(([name, value]) => `export ${name}=${quote(value)}`),
    `export PATH=${quote(bin)}${delimiter}"$PATH"`,
    '',
  ].join('\n');
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
