import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import type { Place } from './measure.ts';

/** buildx with the kubernetes driver. */
export class Buildx implements AsyncDisposable {
  readonly #place: Place;
  readonly #home = mkdtempSync(join(tmpdir(), 'buildx-'));

  constructor(place: Place) {
    this.#place = place;
  }

  /** Creates a builder and waits for it; the peer's cold start. */
  async create(name: string): Promise<void> {
    const { cluster, namespace } = this.#place;
    const image = cluster.image === undefined ? '' : `,image=${cluster.image}`;
    await this.#run(
      ['create', '--name', name, '--driver', 'kubernetes', '--bootstrap'].concat(
        ['--driver-opt', `namespace=${namespace}${image}`],
        cluster.buildkitdConfig === undefined ? [] : ['--config', cluster.buildkitdConfig],
      ),
    );
  }

  /**
   * Builds without attestations, as docker/build-push-action calls it: with the files that it reads
   * its outputs from. `args` come before the context.
   */
  async build(name: string, context: string, args: readonly string[]): Promise<void> {
    const flags = ['--builder', name, '--progress', 'plain', '--provenance=false', '--sbom=false'];
    const files = [
      '--metadata-file',
      join(this.#home, 'metadata'),
      '--iidfile',
      join(this.#home, 'iid'),
    ];
    await this.#run(['build', ...flags, ...files, ...args, context]);
  }

  /** Finds a builder that is up and asks its daemon what it can do. */
  async inspect(name: string): Promise<void> {
    await this.#run(['inspect', '--bootstrap', name]);
  }

  async remove(name: string): Promise<void> {
    await this.#run(['rm', '--force', name]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#home, { recursive: true, force: true });
    return Promise.resolve();
  }

  async #run(args: readonly string[]): Promise<void> {
    await runTool(this.#place, 'buildx', args, { HOME: this.#home, BUILDX_CONFIG: this.#home });
  }
}

/** buildctl to a pod over `kubectl exec`: the floor of a build, with no builder to find. */
export async function buildctl(
  place: Place,
  builder: string,
  args: readonly string[],
): Promise<void> {
  const pod = await findPod(place, builder);
  const address = `kube-pod://${pod}?namespace=${place.namespace}&container=buildkitd`;
  await runTool(place, 'buildctl', ['--addr', address, 'build', '--progress', 'plain', ...args]);
}

/** Name of the one pod of a builder of ours. */
export async function findPod({ cluster, namespace }: Place, builder: string): Promise<string> {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const { items } = await config.makeApiClient(CoreV1Api).listNamespacedPod({
    namespace,
    labelSelector: `app.kubernetes.io/instance=${builder}`,
  });
  const name = items[0]?.metadata?.name;
  if (name === undefined) throw new Error(`builder ${builder} has no pod`);
  return name;
}

/** Runs a tool of the cluster's `bin` to its end; throws with its error output. */
export async function runTool(
  { cluster }: Place,
  tool: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const path = [cluster.bin, process.env.PATH].filter((each) => each !== undefined).join(delimiter);
  const child = spawn(cluster.bin === undefined ? tool : join(cluster.bin, tool), args, {
    env: { HOME: process.env.HOME, ...env, PATH: path, KUBECONFIG: cluster.kubeconfig },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')} failed:\n${errors}`);
}
