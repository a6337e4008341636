import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { Lifetime } from '../../src/kubernetes/lifetime.ts';
import { Mirror } from '../../src/kubernetes/mirror.ts';
import { findRunnerPod } from '../../src/kubernetes/runner-pod.ts';
import { describeExpiry, removeBuilder } from '../../src/kubernetes/teardown.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import {
  type Answer,
  FakeKubeApi,
  json,
  refuse,
  type SeenRequest,
} from '../fakes/fake-kube-api.ts';

const never = new AbortController().signal;
const open: (AsyncDisposable | Disposable)[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
    else each[Symbol.dispose]();
  }
});

async function clientFor(answer: Answer): Promise<{ api: FakeKubeApi; client: KubeClient }> {
  const api = await FakeKubeApi.start(answer);
  const client = createKubeClient(api.config(), {});
  open.push(api, client);
  return { api, client };
}

const pod = (name: string, version: string, more: object = {}) => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion: version },
  ...more,
});
const list = (version: string, ...items: object[]) => ({
  kind: 'List',
  metadata: { resourceVersion: version },
  items,
});
const isWatch = ({ query }: SeenRequest): boolean => query.get('watch') === '1';

function event(response: ServerResponse, type: string, object: object): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

/** Follows pods until `done` holds for the names seen. */
async function follow(
  client: KubeClient,
  done: (names: string[], mirror: Mirror<'pods'>) => boolean,
  more: { readonly onlyNew?: boolean } = {},
): Promise<{ names: string[]; modes: string[]; mirror: Mirror<'pods'> }> {
  const stop = new AbortController();
  const modes: string[] = [];
  const names = (): string[] => [...mirror.objects.values()].map(({ metadata }) => metadata.name);
  const look = (): void => {
    if (done(names(), mirror)) stop.abort();
  };
  const mirror = new Mirror({
    client,
    resource: 'pods',
    selection: { namespace: 'ci', labelSelector: 'a=b,c=d' },
    logger: nullLogger,
    ...more,
    onChange: look,
    onDegraded: (mode) => {
      modes.push(mode);
      setImmediate(look);
    },
  });
  await mirror.run(stop.signal);
  return { names: names(), modes, mirror };
}

describe('Mirror', () => {
  it('lists, watches from there, and takes up a watch that the server ended', async () => {
    let watches = 0;
    const { api, client } = await clientFor((request, response) => {
      if (!isWatch(request)) {
        json(response, 200, list('10', pod('a', '5')));
        return;
      }
      response.writeHead(200);
      watches += 1;
      if (watches === 1) {
        // One event in pieces that cut a character and a line.
        const text = Buffer.from(
          `${JSON.stringify({ type: 'ADDED', object: pod('b-é', '11') })}\n{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"20"}}}\n`,
        );
        const cut = text.indexOf(0xc3) + 1;
        response.write(text.subarray(0, cut));
        setTimeout(() => response.end(text.subarray(cut)), 20);
      } else event(response, 'DELETED', pod('a', '21'));
    });
    const { names } = await follow(client, (seen) => seen.join() === 'b-é');
    expect(names).toEqual(['b-é']);
    expect(
      api.requests.map(
        (r) => `${isWatch(r) ? 'watch' : 'list'} ${r.query.get('resourceVersion') ?? ''}`,
      ),
    ).toEqual(['list ', 'watch 10', 'watch 20']);
    expect(api.requests[1]?.query.get('labelSelector')).toBe('a=b,c=d');
  });

  it.each([
    [
      'has lost its place',
      (r: ServerResponse) => {
        r.end(
          '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n',
        );
      },
    ],
    [
      'is cut in the middle of an event',
      (r: ServerResponse) => {
        r.write('{"type":"ADDED","object":{"meta', () => r.destroy());
      },
    ],
    [
      'ends in half an event',
      (r: ServerResponse) => {
        r.end('{"type":"ADDED","obj\n');
      },
    ],
  ])('lists again when a watch %s, and notices what is gone', async (_name, end) => {
    let lists = 0;
    const { client } = await clientFor((request, response) => {
      if (isWatch(request)) {
        response.writeHead(200);
        if (lists === 1) end(response);
        return;
      }
      lists += 1;
      json(response, 200, lists === 1 ? list('10', pod('a', '5')) : list('30', pod('c', '25')));
    });
    const { names, mirror } = await follow(client, (seen) => seen.includes('c'));
    expect(names).toEqual(['c']);
    expect(mirror.deleted.get('uid-a')?.metadata.name).toBe('a');
  });

  it('goes on through failures of the server', async () => {
    let lists = 0;
    const { client } = await clientFor((request, response) => {
      if (isWatch(request)) refuse(response, 500, 'no');
      else {
        lists += 1;
        json(response, 200, list(String(lists), ...(lists < 3 ? [] : [pod('late', '3')])));
      }
    });
    const { names } = await follow(client, (seen) => seen.includes('late'));
    expect(names).toEqual(['late']);
  });

  it('polls where watching is forbidden', async () => {
    let lists = 0;
    const { client } = await clientFor((request, response) => {
      if (isWatch(request)) {
        refuse(response, 403, 'pods is forbidden: User "u" cannot watch resource "pods"');
        return;
      }
      lists += 1;
      json(response, 200, list('1', ...(lists < 3 ? [] : [pod('polled', '3')])));
    });
    const { names, modes } = await follow(client, (seen) => seen.includes('polled'));
    expect(names).toEqual(['polled']);
    expect(modes).toEqual(['polled']);
  });

  it('sees nothing where listing is forbidden too, and ends', async () => {
    const { api, client } = await clientFor((_request, response) => {
      refuse(response, 403, 'pods is forbidden: User "u" cannot list resource "pods"');
    });
    const { modes, mirror } = await follow(client, () => false);
    expect(modes).toEqual(['unseen']);
    expect(mirror.synced).toBe(false);
    expect(api.requests).toHaveLength(1);
  });

  it('goes on with a renewed token when a watch is refused with the old one', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mirror-'));
    open.push({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) });
    const tokenFile = path.join(folder, 'token');
    await writeFile(tokenFile, 'old');
    const api = await FakeKubeApi.start((request, response) => {
      const isNew = request.headers.authorization === 'Bearer new';
      if (isWatch(request) && !isNew) {
        void writeFile(tokenFile, 'new').then(() => {
          refuse(response, 401, 'Unauthorized');
        });
      } else json(response, 200, list('1', ...(isNew ? [pod('seen', '1')] : [])));
    });
    const client = createKubeClient(api.config({ tokenFile }), {});
    open.push(api, client);
    const { names } = await follow(client, (seen) => seen.includes('seen'));
    expect(names).toEqual(['seen']);
  });

  it('ends with an error when the credentials are refused', async () => {
    const { client } = await clientFor((_request, response) => {
      refuse(response, 401, 'Unauthorized');
    });
    await expect(follow(client, () => false)).rejects.toMatchObject({ code: 'KUBE_UNAUTHORIZED' });
  });

  it('does not read old events, only what comes after them', async () => {
    const { api, client } = await clientFor((request, response) => {
      if (!isWatch(request)) json(response, 200, list('99', pod('old', '1')));
      else {
        response.writeHead(200);
        event(response, 'ADDED', pod('new', '100'));
      }
    });
    const { names } = await follow(client, (seen) => seen.includes('new'), { onlyNew: true });
    expect(names).toEqual(['new']);
    expect(api.requests[0]?.query.get('limit')).toBe('1');
  });
});

describe('removeBuilder', () => {
  const state = {
    namespace: 'ci',
    name: 'kbx-a',
    workload: 'kbx-a-linux',
    resource: 'deployments' as const,
    creator: 'me',
  };
  const labels = {
    'app.kubernetes.io/managed-by': 'kube-buildx-action',
    'app.kubernetes.io/instance': 'kbx-a',
  };
  const own = (kind: string, more: object = {}) => ({
    metadata: {
      name: 'x',
      uid: `uid-of-${kind}`,
      labels,
      annotations: { 'kube-buildx-action/creator': 'me' },
      ...more,
    },
  });
  const kindOf = ({ path }: SeenRequest): string => path.split('/').at(-2) ?? '';
  const remove = (client: KubeClient) =>
    removeBuilder(client, state, { signal: never, logger: nullLogger });

  function objects(found: Record<string, object | undefined>): Answer {
    return (request, response) => {
      const kind = kindOf(request);
      if (request.path.endsWith('/pods')) json(response, 200, list('1'));
      else if (request.method === 'DELETE') json(response, 200, {});
      else if (found[kind] === undefined) refuse(response, 404, 'not found');
      else json(response, 200, found[kind]);
    };
  }

  it('deletes what carries its labels and its creator, by uid', async () => {
    const { api, client } = await clientFor(
      objects({ jobs: own('jobs'), deployments: own('deployments') }),
    );
    await expect(remove(client)).resolves.toBe('removed');
    const deleted = api.requests.filter(({ method }) => method === 'DELETE');
    expect(deleted.map(({ path, body }) => [path, JSON.parse(body) as unknown]).sort()).toEqual([
      [
        '/apis/apps/v1/namespaces/ci/deployments/kbx-a-linux',
        { propagationPolicy: 'Background', preconditions: { uid: 'uid-of-deployments' } },
      ],
      [
        '/apis/batch/v1/namespaces/ci/jobs/kbx-a',
        { propagationPolicy: 'Background', preconditions: { uid: 'uid-of-jobs' } },
      ],
    ]);
  });

  it.each([
    ['another step made', { annotations: { 'kube-buildx-action/creator': 'other' } }],
    ['nobody of us made', { labels: {} }],
    ['another builder has', { labels: { ...labels, 'app.kubernetes.io/instance': 'kbx-b' } }],
  ])('leaves alone what %s', async (_name, metadata) => {
    const { api, client } = await clientFor(
      objects({ jobs: own('jobs', metadata), deployments: own('deployments', metadata) }),
    );
    await expect(remove(client)).resolves.toBe('nothing');
    expect(api.requests.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('takes what is gone meanwhile for done', async () => {
    const { client } = await clientFor((request, response) => {
      if (request.method === 'DELETE') {
        if (kindOf(request) === 'jobs') refuse(response, 404, 'gone');
        else refuse(response, 409, 'uid does not match');
      } else objects({ jobs: own('jobs'), deployments: own('deployments') })(request, response);
    });
    await expect(remove(client)).resolves.toBe('nothing');
  });

  it('tries everything before it fails, and does without rights that building did without', async () => {
    const { api, client } = await clientFor((request, response) => {
      const kind = kindOf(request);
      if (kind === 'deployments') refuse(response, 422, 'no');
      else if (kind === 'jobs' || kind === 'secrets') {
        refuse(response, 403, `User "u" cannot get resource "${kind}"`);
      } else objects({ configmaps: own('configmaps') })(request, response);
    });
    await expect(remove(client)).rejects.toMatchObject({ httpStatus: 422 });
    expect(api.requests.some(({ method }) => method === 'DELETE')).toBe(true);
  });
});

describe('describeExpiry', () => {
  const runnerPod = { apiVersion: 'v1', kind: 'Pod', name: 'runner-7', uid: 'p' };
  const metadata = { name: 'kbx-a', uid: 'u', creationTimestamp: '2031-01-01T00:00:00Z' };
  const job = { object: { metadata }, serverTimeMs: 0 };

  it.each([
    [{ job, runnerPod }, 'it expires at 2031-01-01T06:00:00Z at the latest'],
    [{ job: undefined, runnerPod }, 'it goes when the pod of this runner goes'],
    [
      { job: undefined, runnerPod: undefined },
      'it does not expire by itself, for lack of rights on jobs',
    ],
  ])('says what the builder hangs on', (owners, expected) => {
    const life = { maxLifetimeMs: 6 * 3600e3, isPool: false, isShared: false };
    expect(describeExpiry(owners, life)).toBe(expected);
  });

  it('counts the life of what jobs share from the last of them', () => {
    const later = { ...job, serverTimeMs: Date.parse('2031-01-01T04:00:00Z') };
    const life = { maxLifetimeMs: 6 * 3600e3, isPool: false, isShared: true };
    expect(describeExpiry({ job: later, runnerPod }, life)).toBe(
      'it expires at 2031-01-01T10:00:00Z at the latest',
    );
  });
});

describe('Lifetime', () => {
  const at = (offsetMs: number): string => new Date(Date.UTC(2031, 0, 1) + offsetMs).toISOString();
  const job = (startDelayMs = 0, activeDeadlineSeconds = 0) => ({
    metadata: { name: 'kbx-a', uid: 'u', creationTimestamp: at(0) },
    spec: { activeDeadlineSeconds },
    status: { startTime: at(startDelayMs) },
  });

  async function lifetime(input: {
    ageMs: number;
    startDelayMs?: number;
    deadlineSeconds?: number;
    maxLifetimeMs: number | undefined;
  }) {
    const object = job(input.startDelayMs, input.deadlineSeconds);
    const deadlines: unknown[] = [];
    const { client } = await clientFor((request, response) => {
      deadlines.push(JSON.parse(request.body));
      json(response, 200, object);
      seen.resolve(undefined);
    });
    const seen = Promise.withResolvers<undefined>();
    const life = new Lifetime({
      client,
      namespace: 'ci',
      // By the server's clock, which has nothing to do with ours.
      job: { object, serverTimeMs: Date.parse(at(input.ageMs)) },
      maxLifetimeMs: input.maxLifetimeMs,
      isShared: false,
      logger: nullLogger,
    });
    return { life, deadlines, seen: seen.promise };
  }

  it('beats to five minutes ahead of now, by the clock of the server', async () => {
    const { life, deadlines, seen } = await lifetime({
      ageMs: 1_000_400,
      maxLifetimeMs: 6 * 3600e3,
    });
    life.start('at once');
    await seen;
    await life.stop();
    expect(deadlines).toEqual([{ spec: { activeDeadlineSeconds: 1300 } }]);
  });

  it('never goes beyond the longest life, counted from the creation', async () => {
    const { life, deadlines, seen } = await lifetime({
      ageMs: 100_000,
      startDelayMs: 2_000,
      maxLifetimeMs: 180_000,
    });
    life.start('at once');
    await seen;
    await life.stop();
    expect(deadlines).toEqual([{ spec: { activeDeadlineSeconds: 178 } }]);
  });

  it('does not cut off a step that works on beyond it', async () => {
    const { life, deadlines, seen } = await lifetime({ ageMs: 150_000, maxLifetimeMs: 180_000 });
    life.start('at once');
    await seen;
    await life.stop();
    expect(deadlines).toEqual([{ spec: { activeDeadlineSeconds: 240 } }]);
  });

  it('beats well before a deadline that is near', async () => {
    const { life, deadlines, seen } = await lifetime({
      ageMs: 7_500,
      deadlineSeconds: 10,
      maxLifetimeMs: 10_000,
    });
    life.start();
    await seen;
    await life.stop();
    const [first] = deadlines as { spec: { activeDeadlineSeconds: number } }[];
    // A second later or more, and as far ahead as it may live.
    expect(first?.spec.activeDeadlineSeconds).toBeGreaterThanOrEqual(18);
  });

  it('leaves what is left of it at the end', async () => {
    const { life, deadlines } = await lifetime({ ageMs: 5_000, maxLifetimeMs: 3_600_000 });
    life.start();
    await life.settle(never);
    expect(deadlines).toEqual([{ spec: { activeDeadlineSeconds: 3600 } }]);
  });

  it('keeps to what others have given it, but for a step that works on', async () => {
    const given = { deadlineSeconds: 600, maxLifetimeMs: undefined };
    const early = await lifetime({ ...given, ageMs: 5_000 });
    await early.life.settle(never);
    expect(early.deadlines).toEqual([]);
    const late = await lifetime({ ...given, ageMs: 590_000 });
    late.life.start('at once');
    await late.seen;
    await late.life.stop();
    expect(late.deadlines).toEqual([{ spec: { activeDeadlineSeconds: 680 } }]);
  });
});

describe('findRunnerPod', () => {
  const refused = (response: ServerResponse): void => {
    refuse(response, 403, 'User "u" cannot get resource "pods"');
  };
  const found = (response: ServerResponse): void => {
    json(response, 200, pod('runner-7', '1'));
  };
  /** What Kubernetes tells each container of the API server of its own cluster. */
  const ownCluster = (server: URL): Record<string, string> => ({
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: server.port,
  });

  async function find(
    namespace: string | undefined,
    answer: (r: ServerResponse) => void,
    envOf = ownCluster,
  ) {
    const serviceAccountFolder = await mkdtemp(path.join(tmpdir(), 'service-account-'));
    open.push({
      [Symbol.asyncDispose]: () => rm(serviceAccountFolder, { recursive: true }),
    });
    if (namespace !== undefined) {
      await writeFile(path.join(serviceAccountFolder, 'namespace'), namespace);
    }
    const { api, client } = await clientFor((_request, response) => {
      answer(response);
    });
    const where = {
      namespace: 'ci',
      serviceAccountFolder,
      hostname: 'runner-7',
      env: envOf(client.server),
    };
    return { owner: await findRunnerPod(client, where, never), asked: api.requests.length };
  }

  it('is the pod we run in, when the builder goes into its namespace', async () => {
    expect((await find('ci\n', found)).owner).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      name: 'runner-7',
      uid: 'uid-runner-7',
    });
  });

  it('is nobody elsewhere: owners of another namespace would have it collected', async () => {
    expect(await find('runners', found)).toEqual({ owner: undefined, asked: 0 });
    expect(await find(undefined, found)).toEqual({ owner: undefined, asked: 0 });
  });

  it('is nobody in another cluster, even if that has a pod of this name', async () => {
    const nobody = { owner: undefined, asked: 0 };
    expect(await find('ci', found, () => ({}))).toEqual(nobody);
    const other = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
    expect(await find('ci', found, () => other)).toEqual(nobody);
  });

  it('is nobody where the pod cannot be read', async () => {
    expect((await find('ci', refused)).owner).toBeUndefined();
  });
});
