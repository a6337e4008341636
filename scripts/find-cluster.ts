import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** A cluster to build on, with a registry that this machine and the pods reach. */
export interface Cluster {
  readonly kubeconfig: string;
  readonly registry: string;
  /** Image for builders; unset: the action's default. */
  readonly image: string | undefined;
  /** The same for `mode=rootless`. */
  readonly rootlessImage: string | undefined;
  /** A `buildkitd.toml` that knows the registry; unset: it speaks TLS and needs none. */
  readonly buildkitdConfig: string | undefined;
  /** Folder with kubectl, buildctl, buildx and act; unset: those on `PATH`. */
  readonly bin: string | undefined;
}

/** The cluster of `KUBECONFIG` and `KBA_REGISTRY`, else the local one, which is started. */
export function findCluster(): Cluster {
  const { KUBECONFIG, KBA_REGISTRY, KBA_BUILDKITD_CONFIG } = process.env;
  if (KUBECONFIG) {
    if (!KBA_REGISTRY) {
      throw new Error(
        'KUBECONFIG is set: set KBA_REGISTRY too, host:port that runner and pods reach',
      );
    }
    return {
      kubeconfig: KUBECONFIG,
      registry: KBA_REGISTRY,
      image: process.env.KBA_BUILDKIT_IMAGE,
      rootlessImage: process.env.KBA_BUILDKIT_ROOTLESS_IMAGE,
      buildkitdConfig: KBA_BUILDKITD_CONFIG,
      bin: undefined,
    };
  }
  const { status } = spawnSync(process.execPath, [join('local-cluster', 'cluster.ts'), 'up'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
  return readLocalCluster();
}

/** The local cluster as its `up` described it. */
export function readLocalCluster(): Cluster {
  const path = join(root, '.cluster', 'env.json');
  const env = JSON.parse(readFileSync(path, 'utf8')) as {
    kubeconfig: string;
    registry: string;
    images: { buildkit: string; buildkitRootless: string };
    buildkitdConfig: string;
    bin: string;
  };
  return {
    kubeconfig: env.kubeconfig,
    registry: env.registry,
    image: env.images.buildkit,
    rootlessImage: env.images.buildkitRootless,
    buildkitdConfig: env.buildkitdConfig,
    bin: env.bin,
  };
}

/** The inputs that choose this cluster and a namespace of it for a step of the action. */
export function clusterInputs(
  { image, buildkitdConfig }: Cluster,
  namespace: string,
): Record<string, string> {
  return {
    'driver-opts': `namespace=${namespace}${image === undefined ? '' : `\nimage=${image}`}`,
    ...(buildkitdConfig === undefined ? {} : { 'buildkitd-config': buildkitdConfig }),
  };
}
