import { afterEach, describe, expect, it } from '@jest/globals';
import { findExisting } from '../../src/kubernetes/existing-builder.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';
import { specWith } from '../helpers/builder-spec.ts';

const never = new AbortController().signal;
const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

/** What is found of builder `web` where there are these Deployments, by the names of containers. */
async function found(deployments: Readonly<Record<string, string>>) {
  const api = await FakeKubeApi.start((request, response) => {
    const name = request.path.split('/').at(-1) ?? '';
    const container = deployments[name];
    if (container === undefined || request.path.includes('/statefulsets/')) {
      refuse(response, 404, 'not found');
      return;
    }
    const template = { spec: { containers: [{ name: container }] } };
    json(response, 200, {
      metadata: { name, uid: name, labels: { app: name } },
      spec: { template },
    });
  });
  open.push(api);
  using client = createKubeClient(api.config(), {});
  const existing = await findExisting(client, specWith({ builder: { name: 'web' } }), never);
  return existing && { madeBy: existing.madeBy, name: existing.workload.object.metadata.name };
}

describe('findExisting', () => {
  it('finds what buildx made, also without platforms', async () => {
    expect(await found({ web0: 'buildkitd' })).toEqual({ madeBy: 'buildx', name: 'web0' });
  });

  it('does not take what else has such a name and label for a builder', async () => {
    expect(await found({ web0: 'nginx' })).toBeUndefined();
  });
});
