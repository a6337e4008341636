import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Cluster } from '../../scripts/find-cluster.ts';

export interface PeerBuild {
  readonly exitCode: number | null;
  readonly log: string;
  readonly digest: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** buildx with a builder of its own on the same cluster: what our builds are compared with. */
export class Peer implements Disposable {
  readonly #home = mkdtempSync(join(tmpdir(), 'buildx-'));
  readonly #buildx: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(cluster: Cluster, namespace: string) {
    this.#buildx = cluster.bin === undefined ? 'buildx' : join(cluster.bin, 'buildx');
    this.#env = {
      PATH: process.env.PATH,
      HOME: this.#home,
      BUILDX_CONFIG: this.#home,
      KUBECONFIG: cluster.kubeconfig,
      BUILDX_GIT_INFO: 'false',
    };
    const image = cluster.image === undefined ? '' : `,image=${cluster.image}`;
    this.#run(
      ['create', '--name', 'peer', '--driver', 'kubernetes', '--bootstrap'].concat(
        ['--driver-opt', `namespace=${namespace}${image}`],
        ['--buildkitd-flags', '--allow-insecure-entitlement network.host'],
        cluster.buildkitdConfig === undefined ? [] : ['--config', cluster.buildkitdConfig],
      ),
    );
  }

  /** Runs `buildx build` without attestations, with the epoch at zero. */
  build(context: string, args: readonly string[]): PeerBuild {
    const metadataFile = join(this.#home, 'metadata.json');
    rmSync(metadataFile, { force: true });
    const { status, stderr } = spawnSync(
      this.#buildx,
      [
        'build',
        '--builder',
        'peer',
        '--progress',
        'plain',
        '--provenance=false',
        '--sbom=false',
      ].concat(['--metadata-file', metadataFile, ...args, context]),
      { env: { ...this.#env, SOURCE_DATE_EPOCH: '0' }, cwd: context },
    );
    const metadata = readJson(metadataFile);
    const digest = metadata['containerimage.digest'];
    return {
      exitCode: status,
      log: stderr.toString(),
      digest: typeof digest === 'string' ? digest : undefined,
      metadata,
    };
  }

  [Symbol.dispose](): void {
    this.#run(['rm', '--force', 'peer']);
    rmSync(this.#home, { recursive: true, force: true });
  }

  #run(args: readonly string[]): void {
    const { status, stderr } = spawnSync(this.#buildx, args, { env: this.#env });
    if (status !== 0) throw new Error(`buildx ${args.join(' ')}: ${String(stderr)}`);
  }
}

function readJson(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}
