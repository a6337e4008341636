import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { V1Container } from '@kubernetes/client-node';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { homedir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { findCluster } from '../../scripts/find-cluster.ts';
import type { ApiTarget } from '../../src/kubernetes/api-target.ts';
import type { ExecStream } from '../../src/kubernetes/exec/exec-stream.ts';
import {
  openExecStream,
  type OpenExecOptions,
} from '../../src/kubernetes/exec/open-exec-stream.ts';
import { loadKubeConfig } from '../../src/kubernetes/kube-config.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { Playground } from '../helpers/action-on-cluster.ts';

jest.setTimeout(60_000);

const cluster = findCluster();
const image = cluster.image ?? 'moby/buildkit:buildx-stable-1';
const protocols = ['spdy', 'websocket-v5', 'websocket-v4'] as const;

/** Has a shell and nothing to do; comes first, as a sidecar may. */
const idle: V1Container = { name: 'idle', image, command: ['sleep', '3600'] };
const ended: V1Container = { name: 'ended', image, command: ['true'] };
const daemon: V1Container = { name: 'buildkitd', image, securityContext: { privileged: true } };

let playground: Playground;
let target: ApiTarget;
const streams: ExecStream[] = [];

beforeAll(async () => {
  playground = await Playground.create({ cluster });
  target = await targetOf(cluster.kubeconfig);
  await startPod('builder', [idle, daemon, ended]);
});

afterEach(() => {
  for (const stream of streams.splice(0)) stream.on('error', () => undefined).destroy();
});

afterAll(async () => {
  await playground[Symbol.asyncDispose]();
});

async function targetOf(kubeconfig: string): Promise<ApiTarget> {
  const from = { kubeconfig, kubeContext: undefined, env: {}, homeFolder: homedir() };
  using client = createKubeClient(await loadKubeConfig(from), {});
  return await client.resolveTarget(new AbortController().signal);
}

async function startPod(name: string, containers: V1Container[]): Promise<void> {
  const { core, namespace } = playground;
  await core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name },
      spec: {
        containers,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 1,
        nodeSelector: { 'kubernetes.io/arch': 'amd64' },
      },
    },
  });
  for (;;) {
    const { status } = await core.readNamespacedPod({ name, namespace });
    const states = status?.containerStatuses ?? [];
    const settled = states.filter(
      ({ state }) => (state?.running ?? state?.terminated) !== undefined,
    );
    if (settled.length === containers.length) return;
    await sleep(200);
  }
}

async function open(
  command: readonly string[],
  options: Partial<OpenExecOptions> = {},
): Promise<ExecStream> {
  const stream = await openExecStream({
    target,
    namespace: playground.namespace,
    pod: 'builder',
    container: 'idle',
    command,
    signal: new AbortController().signal,
    ...options,
  });
  streams.push(stream);
  return stream;
}

async function readAll(stream: ExecStream): Promise<{ text: string; error?: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return { text: Buffer.concat(chunks).toString() };
  } catch (error) {
    return { text: Buffer.concat(chunks).toString(), error };
  }
}

describe.each(protocols)('an exec over %s', (protocol) => {
  const only = { protocols: [protocol] };

  it('carries 20 MB both ways', async () => {
    const stream = await open(['cat'], only);
    expect(stream.protocol).toBe(protocol);
    const payload = randomBytes(20_000_000);
    stream.end(payload);
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      // Version 4 cannot tell cat that its input has ended.
      if (protocol === 'websocket-v4' && sizeBytes === payload.length) break;
    }
    expect(hash.digest('hex')).toBe(createHash('sha256').update(payload).digest('hex'));
    if (protocol !== 'websocket-v4') {
      expect(await stream.exit).toEqual({ kind: 'exited', exitCode: 0 });
    }
  });

  it('gives the exit code, after all output, with stderr', async () => {
    const script = 'head -c 3000000 /dev/zero; echo broken >&2; exit 42';
    const { text, error } = await readAll(await open(['sh', '-c', script], only));
    expect(text).toHaveLength(3_000_000);
    expect(error).toMatchObject({ code: 'EXEC_FAILED' });
    expect(String(error)).toMatch(/ended with exit code 42; it wrote: broken$/);
  });

  it('tells that the command is not in the image', async () => {
    const result = await open(['no-such-command'], only).then(readAll, (error: unknown) => ({
      error,
    }));
    expect(result.error).toMatchObject({ code: 'EXEC_FAILED' });
    expect(String(result.error)).toContain('no-such-command');
    expect(String(result.error)).toContain('executable file not found');
  });

  it('stays open while nothing is said', async () => {
    const stream = await open(['cat'], { ...only, pingIntervalMs: 100 });
    await sleep(3000);
    stream.write('still here');
    const [data] = (await once(stream, 'data')) as [Buffer];
    expect(data.toString()).toBe('still here');
  });

  it('reaches the daemon of the named container', async () => {
    const stream = await open(['buildctl', 'dial-stdio'], { ...only, container: 'buildkitd' });
    const client = connect('http://buildkitd', { createConnection: () => stream });
    await once(client, 'remoteSettings');
    const answered = Promise.withResolvers<Buffer>();
    client.ping(Buffer.from('01234567'), (error, _duration, payload) => {
      if (error) answered.reject(error);
      else answered.resolve(payload);
    });
    expect(String(await answered.promise)).toBe('01234567');
    // Version 4 cannot tell the daemon, for whose end a polite client would wait.
    if (protocol === 'websocket-v4') client.destroy();
    else client.close();
    await once(stream, 'close');
  });

  it('tells a deleted pod from an end', async () => {
    const pod = `gone-${protocol}`;
    await startPod(pod, [idle]);
    const stream = await open(['sh', '-c', 'cat >/dev/null; echo ended'], { ...only, pod });
    const failed = once(stream, 'error');
    stream.resume();
    const chunk = Buffer.alloc(64 * 1024);
    const feed = setInterval(() => stream.writable && stream.write(chunk), 5);
    await playground.core.deleteNamespacedPod({ name: pod, namespace: playground.namespace });
    const [error] = (await failed) as [Error & { code: string }];
    clearInterval(feed);
    expect(['EXEC_FAILED', 'EXEC_CLOSED']).toContain(error.code);
    expect(error.message).toMatch(/exit code 137, killed by signal 9|connection was lost/);
  });
});

describe('what the API server refuses', () => {
  it.each([
    ['a missing pod', { pod: 'nowhere' }, 'pods "nowhere" not found', 404],
    ['a missing container', { container: 'zz' }, 'container zz is not valid for pod builder', 400],
    ['a container that has ended', { container: 'ended' }, 'container not found ("ended")', 500],
  ])('names %s', async (_name, wrong, text, httpStatus) => {
    const error: unknown = await open(['true'], wrong).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'EXEC_REFUSED', httpStatus });
    expect(String(error)).toContain(text);
  });

  it('names the credentials', async () => {
    const { server } = target;
    const expired = {
      server,
      tls: { ca: target.tls.ca },
      headers: { authorization: 'Bearer old' },
    };
    const opening = open(['true'], { target: expired });
    await expect(opening).rejects.toMatchObject({ code: 'KUBE_UNAUTHORIZED', httpStatus: 401 });
  });

  const may = (...verbs: string[]): Promise<string> =>
    playground.kubeconfigWithRules([{ apiGroups: [''], resources: ['pods/exec'], verbs }]);

  it('takes SPDY by the right to create, which is all that buildx needs', async () => {
    const stream = await open(['echo', 'hello'], { target: await targetOf(await may('create')) });
    expect(stream.protocol).toBe('spdy');
    expect(await readAll(stream)).toEqual({ text: 'hello\n' });
  });

  it('takes WebSocket where there is only the right to get', async () => {
    const stream = await open(['echo', 'hello'], { target: await targetOf(await may('get')) });
    expect(stream.protocol).toBe('websocket-v5');
    expect(await readAll(stream)).toEqual({ text: 'hello\n' });
  });

  it('names the verbs where there is no right', async () => {
    const limited = await targetOf(await may('list'));
    const error: unknown = await open(['true'], { target: limited }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'KUBE_FORBIDDEN', httpStatus: 403 });
    expect(String(error)).toMatch(
      /SPDY: .*cannot create .*WebSocket: .*cannot get resource "pods\/exec"/,
    );
  });
});
