import { describe, expect, it } from '@jest/globals';

import { Job } from '../../scripts/action-runner.ts';
import { ContextFolder } from '../helpers/context-folder.ts';

/** Runs main of the bundle in a workspace with a Dockerfile and without any cluster. */
async function runMain(inputs: Readonly<Record<string, string>>) {
  using workspace = new ContextFolder({ Dockerfile: 'FROM scratch\n' });
  using job = new Job({ workspace: workspace.path, env: { HOME: workspace.path } });
  const step = job.step(inputs);
  const main = await step.main().done;
  return { main, post: await step.post().done };
}

describe('the main entry', () => {
  it('reports every wrong input of a run together', async () => {
    const { main } = await runMain({
      push: 'perhaps',
      tags: 'Bad Tag',
      'driver-opts': 'replicas=none,colour=blue',
      'no-cache': 'true',
      'no-cache-filters': 'one',
    });
    expect(main.exitCode).toBe(1);
    for (const text of ['push', 'perhaps', 'Bad Tag', 'replicas', 'colour', 'no-cache-filters']) {
      expect(main.log).toContain(text);
    }
  });

  it('prints no secret, not even a malformed one', async () => {
    const { main } = await runMain({ 'registry-auth': 'ghcr.io: [hunter2, {"pass' });
    expect(main.exitCode).toBe(1);
    expect(main.log).toContain('registry-auth');
    expect(main.log).not.toContain('hunter2');
  });

  it.each([
    ['cache-from', 'type=gha'],
    ['secrets', 'token=abc'],
    ['load', 'true'],
    ['provenance', 'mode=max'],
    ['platforms', 'linux/amd64,linux/arm64'],
    ['outputs', 'type=local,dest=out'],
    ['allow', 'security.insecure'],
  ])('says that %s=%s is not supported yet', async (name, value) => {
    const { main } = await runMain({ [name]: value });
    expect(main).toMatchObject({ exitCode: 1 });
    expect(main.log).toContain('not supported yet');
    expect(main.log).toContain(name);
    expect(main.log).not.toContain('abc');
  });

  it('says where it looked for a way to the cluster', async () => {
    const { main } = await runMain({});
    expect(main.exitCode).toBe(1);
    expect(main.log).toContain('KUBECONFIG_MISSING');
  });
});

describe('the post entry', () => {
  it('does nothing and passes when main made nothing', async () => {
    const { post } = await runMain({ push: 'perhaps' });
    expect(post).toMatchObject({ exitCode: 0, signal: null });
    expect(post.log).not.toContain('::warning');
  });
});
