import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { deployment } from '../../../../src/kubernetes/manifests/deployment.ts';
import { redactedTls, renderManifests } from '../../../../src/kubernetes/manifests/render.ts';
import { namedSpec } from '../../../helpers/builder-spec.ts';

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: unknown;
  readonly stringData?: unknown;
}

async function render(...specs: Parameters<typeof renderManifests>[0]): Promise<Rendered[]> {
  const text = await renderManifests(specs, { maxLifetimeMs: 90_500 });
  return parseAllDocuments(text).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Rendered;
  });
}

const summary = (objects: readonly Rendered[]) =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);

const files = [
  { path: 'buildkitd.toml', content: 'a = "x: y #"\n', secret: false },
  { path: 'certs/h/key.pem', content: 'PRIVATE', secret: true },
];

describe('rendering', () => {
  it('has all objects in the order of their making', async () => {
    const objects = await render(namedSpec({ files, tls: { ...redactedTls, key: 'PRIVATE' } }));
    expect(summary(objects)).toEqual([
      'Job kbx-a',
      'ConfigMap kbx-a-linux-arm64-v8',
      'Secret kbx-a-linux-arm64-v8',
      'Secret kbx-a-linux-arm64-v8-tls',
      'Deployment kbx-a-linux-arm64-v8',
    ]);
    expect(objects[0]?.spec).toMatchObject({ activeDeadlineSeconds: 90 });
  });

  it('gives a workload just as it is made', async () => {
    const spec = namedSpec({ files, driver: { env: { YES: 'yes', NUMBER: '010' } } });
    const objects = await render(spec);
    expect(objects.at(-1)).toEqual(deployment(spec, undefined));
  });

  it('quotes what kubectl would take for something else than text', async () => {
    const spec = namedSpec({ driver: { env: { OFF: 'y' }, annotations: { on: '1_000' } } });
    const text = await renderManifests([spec], { maxLifetimeMs: 1000 });
    expect(text).toContain('name: "OFF"\n');
    expect(text).toContain('value: "y"\n');
    expect(text).toContain('"on": "1_000"\n');
  });

  it('tells no secret, only that there is one', async () => {
    const spec = namedSpec({ files, tls: { ...redactedTls, key: 'PRIVATE' } });
    const text = await renderManifests([spec], { maxLifetimeMs: 1000 });
    expect(text).not.toContain('PRIVATE');
    const secrets = (await render(spec)).filter(({ kind }) => kind === 'Secret');
    expect(secrets.map(({ stringData }) => stringData)).toEqual([
      { 'certs_h_key.pem': '<redacted>' },
      Object.fromEntries(
        ['ca.crt', 'tls.crt', 'tls.key', 'client.crt', 'client.key'].map((key) => [
          key,
          '<redacted>',
        ]),
      ),
    ]);
  });

  it('gives the nodes of one pool one owner', async () => {
    const builder = { name: 'pool', cleanup: false };
    const amd64 = [{ os: 'linux', architecture: 'amd64', variant: '' }];
    const nodes = [
      namedSpec({ builder }),
      namedSpec({ builder: { ...builder, platforms: amd64 } }),
    ];
    expect(summary(await render(...nodes))).toEqual([
      'ConfigMap pool',
      'PodDisruptionBudget pool-linux-arm64-v8',
      'Deployment pool-linux-arm64-v8',
      'PodDisruptionBudget pool-linux-amd64',
      'Deployment pool-linux-amd64',
    ]);
  });

  it('refers to no owner', async () => {
    const spec = namedSpec({ files });
    expect(await renderManifests([spec], { maxLifetimeMs: 1000 })).not.toContain('ownerReferences');
  });
});
