import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { findCluster } from '../../scripts/find-cluster.ts';
import { BuildkitConnection } from '../../src/buildkit/connection.ts';
import type { BuilderTls } from '../../src/kubernetes/builder-spec.ts';
import { makeBuilderTls } from '../../src/kubernetes/connection/certificates.ts';
import { openDirect } from '../../src/kubernetes/connection/direct.ts';
import { execInDaemon } from '../../src/kubernetes/connection/exec.ts';
import { PodConnections } from '../../src/kubernetes/connection/pod-connections.ts';
import { openPortForward } from '../../src/kubernetes/connection/port-forward.ts';
import { decodeReachedWay } from '../../src/kubernetes/connection/reached-way.ts';
import { readTlsSecret, tlsSecretOf } from '../../src/kubernetes/connection/tls-secret.ts';
import { bootstrap, type Builder } from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import type { Pod } from '../../src/kubernetes/kube-objects.ts';
import type { ConnectionKind } from '../../src/options/options.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { type TlsClient, tlsContext } from '../../src/shared/tls-stream.ts';
import { Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';

const cluster = findCluster();
const image = cluster.image ?? 'moby/buildkit:buildx-stable-1';
const never = new AbortController().signal;
const jobId = randomUUID().slice(0, 8);

let playground: Playground;
let client: KubeClient;
let namespace: string;
/** Of the builder that all tests share; empty until the first step has made it. */
let name = '';
let pod: Pod;
let files: BuilderTls;
let address: string;
let lines: string[] = [];
let firstLines: string[];
let firstWay: string;
const builders: Builder[] = [];
const logger = { ...nullLogger, info: (line: string) => lines.push(line) };

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  namespace = playground.namespace;
  client = await clientFrom(cluster.kubeconfig);
  const builder = await start('auto');
  await version(builder);
  firstLines = lines;
  firstWay = builder.reachedPod ?? '';
  ({ name } = builder.state);
  pod = await podWithAddress(builder.podName ?? '');
  address = pod.status?.podIP ?? '';
  const secret = await client.get('secrets', { namespace, name: tlsSecretOf(pod) ?? '' }, never);
  files = readTlsSecret(secret.object.data)!;
}, 60_000);

afterEach(async () => {
  await Promise.all(builders.splice(0).map((each) => each[Symbol.asyncDispose]()));
  lines = [];
});

afterAll(async () => {
  client[Symbol.dispose]();
  await playground[Symbol.asyncDispose]();
});

/** What a step of the job does; each but the first finds the builder of the first. */
async function start(connection: ConnectionKind, lastPod?: string): Promise<Builder> {
  const builder = await bootstrap({
    client,
    builder: builderOptions({
      connection,
      driver: {
        namespace,
        image,
        timeoutMs: 60_000,
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
      },
    }),
    job: testJob({ jobId, isLaterStep: name !== '', lastPod }),
    affinityKey: 'acme/app',
    buildxKey: '/work',
    logger,
    signal: never,
    onNamed: () => undefined,
  });
  builders.push(builder);
  return builder;
}

/** Of the daemon, over the builder's connection. */
async function version(builder: Builder): Promise<string> {
  await using connection = await builder.connect(
    (dial, signal) => BuildkitConnection.open(dial, signal),
    never,
  );
  return connection.version;
}

async function podWithAddress(podName: string): Promise<Pod> {
  for (;;) {
    const { object } = await client.get('pods', { namespace, name: podName }, never);
    if (object.status?.podIP !== undefined) return object;
    await sleep(100);
  }
}

function clientOf(own: Pick<BuilderTls, 'clientCert' | 'clientKey'> | undefined): TlsClient {
  const pair = own === undefined ? {} : { cert: own.clientCert, key: own.clientKey };
  const context = tlsContext({ ca: files.ca, ...pair });
  return { context, serverName: `buildkitd.${name}`, greets: true };
}

async function messageOf(opening: Promise<unknown>): Promise<string> {
  return opening.then(
    () => 'it was let in',
    (thrown: unknown) => (thrown as Error).message,
  );
}

/** Runs a script in the daemon's container and gives what it prints. */
async function run(script: string): Promise<string> {
  const where = { client, namespace, pod: pod.metadata.name, logger };
  const exec = await execInDaemon(where, ['sh', '-c', `(${script}) 2>&1`], never);
  const chunks: Buffer[] = [];
  for await (const chunk of exec as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Builds a step that runs `command` beside buildctl and the files of a client; gives the log. */
function buildStep(command: readonly string[]): Promise<string> {
  const { ca, clientCert, clientKey } = files;
  // Else buildctl waits 10 s for somebody to take its traces.
  const env = 'ENV OTEL_TRACES_EXPORTER=none';
  const dockerfile = `FROM scratch\n${env}\nCOPY . /\nRUN ${JSON.stringify(command)}\n`;
  const contents = { ca, cert: clientCert, key: clientKey, Dockerfile: dockerfile };
  const writes = Object.entries(contents).map(
    ([file, text]) => `cat > ${file} <<'EOF'\n${text}EOF\n`,
  );
  return run(`d=$(mktemp -d); ln /usr/bin/buildctl $d; cd $d
${writes.join('')}buildctl build --frontend dockerfile.v0 --local context=$d --local dockerfile=$d --progress plain
echo "exit code $?"`);
}

describe('a builder with certificates', () => {
  it('is reached directly, though its address is not in its status yet', () => {
    expect(firstLines).toContainEqual(
      `Connection to pod ${pod.metadata.name}: direct to ${address}`,
    );
    expect(decodeReachedWay(firstWay.split('/').slice(2).join('/'))).toEqual({
      way: 'direct',
      pod: pod.metadata.name,
      secret: tlsSecretOf(pod),
      address,
    });
  });

  it.each(['direct', 'port-forward', 'exec'] as const)('is reached by %s', async (kind) => {
    const builder = await start(kind);
    expect(builder.created).toBe(false);
    expect(await version(builder)).toMatch(/^v\d/);
    expect(builder.reachedPod).toContain(`/${pod.metadata.name}/${kind}`);
    // The next step takes the same way, and says no more about it.
    const next = await start('auto', builder.reachedPod);
    lines = [];
    expect(await version(next)).toMatch(/^v\d/);
    expect(next.reachedPod).toBe(builder.reachedPod);
    expect(lines).toEqual([]);
  });

  it('lets nobody in without its own client certificate', async () => {
    const hourMs = 3_600_000;
    const [stranger, expired] = await Promise.all([
      makeBuilderTls(name, { validMs: hourMs }),
      makeBuilderTls(name, { validMs: hourMs, now: Date.now() - 2 * hourMs }),
    ]);
    const target = await client.resolveTarget(never);
    const answers = await Promise.all(
      [undefined, stranger, { clientCert: files.cert, clientKey: files.key }, expired].flatMap(
        (own) => {
          const tls = clientOf(own);
          const where = { target, namespace, pod: pod.metadata.name, tls, logger };
          return [
            messageOf(openDirect({ address, tls }, never)),
            messageOf(openPortForward(where, never)),
          ];
        },
      ),
    );
    expect(answers).toEqual(
      [
        /asks for a client certificate/,
        /does not know the certificate authority/,
        // A daemon's certificate is none of a client.
        /refused the TLS handshake \(bad certificate\)/,
        /has expired|does not know the certificate authority/,
      ].flatMap((words) => [expect.stringMatching(words), expect.stringMatching(words)]),
    );
  });

  it('lets steps of builds in neither, which share its network', async () => {
    const impatient = ['--timeout', '1'];
    const trust = [...impatient, '--tlscacert', '/ca', '--tlsservername', `buildkitd.${name}`];
    const pair = ['--tlscert', '/cert', '--tlskey', '/key'];
    const logs = await Promise.all(
      [
        { host: '127.0.0.1', flags: impatient },
        { host: address, flags: impatient },
        { host: '127.0.0.1', flags: trust },
        { host: address, flags: trust },
        // The same way leads there with a certificate, so that it is this that matters.
        { host: '127.0.0.1', flags: [...trust, ...pair] },
      ].map(({ host, flags }) => {
        const command = ['/buildctl', '--addr', `tcp://${host}:1234`, ...flags, 'debug', 'workers'];
        return buildStep(command);
      }),
    );
    expect(logs).toEqual([
      expect.stringMatching(/Unavailable: [^]*exit code 1\n$/),
      expect.stringMatching(/Unavailable: [^]*exit code 1\n$/),
      expect.stringMatching(/Unavailable: [^]*exit code 1\n$/),
      expect.stringMatching(/Unavailable: [^]*exit code 1\n$/),
      expect.stringMatching(/PLATFORMS[^]*exit code 0\n$/),
    ]);
  }, 60_000);

  it('is reached by what the user may do, and says what is missing for better', async () => {
    const rule = (resource: string, verbs: string[]): Rule => ({
      apiGroups: [''],
      resources: [resource],
      verbs,
    });
    const secrets = rule('secrets', ['get']);
    const exec = rule('pods/exec', ['create']);
    const limited = async (kind: ConnectionKind, rules: Rule[], seen = pod) => {
      const user = await clientFrom(await playground.kubeconfigWithRules(rules));
      using connections = new PodConnections({
        ...{ client: user, namespace, builder: name, kind, logger },
      });
      try {
        const stream = await connections.dialer(seen)(never);
        stream.on('error', () => undefined).destroy();
        return connections.reached?.way;
      } finally {
        user[Symbol.dispose]();
      }
    };
    // Nothing listens there, as at an address of a network that the runner cannot reach.
    const elsewhere = { ...pod, status: { ...pod.status, podIP: '127.0.91.2' } };
    const ready = [{ type: 'Ready', status: 'True' }];
    const unreachable = { ...elsewhere, status: { ...elsewhere.status, conditions: ready } };
    expect(await limited('auto', [secrets])).toBe('direct');
    expect(await limited('auto', [exec])).toBe('exec');
    lines = [];
    const forward = rule('pods/portforward', ['create']);
    expect(await limited('auto', [secrets, forward], unreachable)).toBe('port-forward');
    expect(await limited('auto', [secrets, exec], unreachable)).toBe('exec');
    expect(lines).toEqual([
      expect.stringMatching(/: port-forward; not direct: nothing listens at 127\.0\.91\.2:1234$/),
      expect.stringMatching(/: exec; not direct: .*; not port-forward: .* cannot create resource/),
    ]);
    await expect(limited('port-forward', [secrets, exec])).rejects.toMatchObject({
      code: 'KUBE_FORBIDDEN',
      hint: expect.stringContaining('pods/portforward'),
    });
    await expect(limited('direct', [exec])).rejects.toMatchObject({
      code: 'CONNECTION_REFUSED',
      message: expect.stringContaining('no right to get the Secret'),
    });
  }, 30_000);

  it('loses its streams with its pod', async () => {
    const target = await client.resolveTarget(never);
    const tls = clientOf(files);
    const where = { target, namespace, pod: pod.metadata.name, tls, logger };
    const streams = await Promise.all([
      openDirect({ address, tls }, never),
      openPortForward(where, never),
    ]);
    const ends = streams.map(
      (stream) =>
        new Promise((resolve) => {
          stream
            .on('error', () => undefined)
            .on('close', resolve)
            .resume();
        }),
    );
    const { uid } = pod.metadata;
    await client.remove('pods', { namespace, name: pod.metadata.name, uid }, never);
    await Promise.all(ends);
  }, 30_000);
});
