import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

import { listNamespace } from '../../scripts/cluster-namespace.ts';
import { findCluster } from '../../scripts/find-cluster.ts';

const root = join(import.meta.dirname, '..', '..');
const cluster = findCluster();

describe('a real workflow runner', () => {
  it('builds, pushes, uses the outputs in a later step, and runs post', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'act-'));
    // All that a runner uses of the repository, and copies for each step.
    const action = join(folder, 'action');
    for (const part of ['action.yml', 'setup', 'dist']) {
      cpSync(join(root, part), join(action, part), { recursive: true });
    }
    try {
      const act = spawnSync(
        cluster.bin === undefined ? 'act' : join(cluster.bin, 'act'),
        ['push', '--workflows', '.github/workflows/e2e.yml']
          .concat(['--platform', 'ubuntu-latest=-self-hosted'])
          .concat(['--local-repository', `org/kube-buildx-action@v1=${action}`])
          .concat(['--action-cache-path', join(folder, 'cache')]),
        {
          cwd: root,
          encoding: 'utf8',
          env: {
            ...process.env,
            NODE_OPTIONS: '',
            // The runner takes `node` from PATH; the action asks for the one it is tested with.
            PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
          },
        },
      );
      expect(`${act.stdout}${act.stderr}`).toMatch(/builder \S+ pushed \S+@sha256:[0-9a-f]{64}/);
      expect(act.stdout).toMatch(/one builder made sha256:[0-9a-f]{64} twice/);
      const posts = act.stdout.match(/(?<=Success - Post ).*?(?= \[|$)/gm);
      expect(posts?.slice(0, 4)).toEqual([
        'Build on it again',
        'Build on it',
        'Set up a builder',
        'Build and push',
      ]);
      expect(act.status).toBe(0);
      expect(await listNamespace(cluster, 'kube-buildx-e2e')).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 300_000);
});
