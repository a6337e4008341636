import { setTimeout as sleep } from 'node:timers/promises';

import type { BuilderTls } from '../../src/kubernetes/builder-spec.ts';
import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { Pod } from '../../src/kubernetes/kube-objects.ts';
import { tlsKeys } from '../../src/kubernetes/manifests/configuration.ts';

const never = new AbortController().signal;

/** Where and how a bare pod of the daemon is to run. */
export interface TlsPodOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly image: string;
  /** Also that of the builder. */
  readonly name: string;
  /** What the Secret holds; default: as a builder has it. */
  readonly tls?: BuilderTls;
}

/** Makes a Secret and a bare pod whose daemon listens on TCP as a builder's does. */
export async function createTlsPod(options: TlsPodOptions): Promise<BuilderTls> {
  const { client, namespace, image, name } = options;
  const tls = options.tls ?? (await makeBuilderTls(name, { validMs: 3_600_000 }));
  const stringData = Object.fromEntries(
    Object.entries(tlsKeys).map(([field, key]) => [key, tls[field as keyof BuilderTls]]),
  );
  const secret = { metadata: { name: `${name}-tls` }, stringData };
  const folder = '/etc/kube-buildx/tls';
  const args = ['--addr', 'unix:///run/buildkit/buildkitd.sock', '--addr', 'tcp://0.0.0.0:1234'];
  args.push('--tlscacert', `${folder}/ca.crt`, '--tlscert', `${folder}/tls.crt`);
  args.push('--tlskey', `${folder}/tls.key`);
  const items = ['ca.crt', 'tls.crt', 'tls.key'].map((key) => ({ key, path: key }));
  const pod = {
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      nodeSelector: { 'kubernetes.io/arch': 'amd64' },
      containers: [
        {
          name: 'buildkitd',
          image,
          args,
          securityContext: { privileged: true },
          volumeMounts: [{ name: 'tls', mountPath: folder, readOnly: true }],
        },
      ],
      volumes: [{ name: 'tls', secret: { secretName: secret.metadata.name, items } }],
    },
  };
  await client.create('secrets', { namespace, manifest: secret }, never);
  await client.create('pods', { namespace, manifest: pod }, never);
  return tls;
}

/** The pod once its container runs. */
export async function runningPod(
  client: KubeClient,
  at: { readonly namespace: string; readonly name: string },
): Promise<Pod> {
  for (;;) {
    const { object } = await client.get('pods', at, never);
    if (object.status?.containerStatuses?.[0]?.state?.running !== undefined) return object;
    await sleep(100);
  }
}
