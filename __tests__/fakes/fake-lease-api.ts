import type { ServerResponse } from 'node:http';
import type { Lease, Pod } from '../../src/kubernetes/kube-objects.ts';
import { FakeKubeApi, json, refuse, type SeenRequest } from './fake-kube-api.ts';

type Stored = Lease | Pod;

/** What a test wants refused instead of served. */
export type Refusal = (
  request: SeenRequest,
) => { readonly status: number; readonly message: string } | undefined;

/**
 * An API server that knows the Leases and pods of one namespace, with a clock of its own.
 *
 * As the real one it creates only one object of a name, counts versions up, stamps each change, checks
 * preconditions of version and uid, and tells watchers.
 */
export class FakeLeaseApi implements AsyncDisposable {
  readonly leases = new Map<string, Lease>();
  readonly pods = new Map<string, Pod>();
  refusal: Refusal = () => undefined;
  /** Called when the server has read a request, before it answers. */
  onRequest: (request: SeenRequest) => void = () => undefined;
  #api: FakeKubeApi | undefined;
  #held:
    | { readonly which: (request: SeenRequest) => boolean; readonly until: () => Promise<unknown> }
    | undefined;
  #version = 1;
  #aheadMs: number;
  readonly #watchers = new Set<ServerResponse>();
  readonly #events: { readonly version: number; readonly line: string }[] = [];

  private constructor(aheadMs: number) {
    this.#aheadMs = aheadMs;
  }

  /** `aheadMs`: how far the server's clock is ahead of ours. */
  static async start(aheadMs = 0): Promise<FakeLeaseApi> {
    const fake = new FakeLeaseApi(aheadMs);
    fake.#api = await FakeKubeApi.start((request, response) => {
      fake.#answer(request, response);
    });
    return fake;
  }

  get api(): FakeKubeApi {
    if (this.#api === undefined) throw new Error('not started');
    return this.#api;
  }

  get nowMs(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Requests so far, such as `POST leases`; watches as `WATCH leases`. */
  get calls(): string[] {
    return this.api.requests.map(({ method, path, query }) => {
      const resource = path.includes('/leases') ? 'leases' : 'pods';
      return `${query.has('watch') ? 'WATCH' : method} ${resource}`;
    });
  }

  /** Lets the server's clock run ahead. */
  advance(byMs: number): void {
    this.#aheadMs += byMs;
  }

  addPod(name: string, more: Partial<Pod['metadata']> = {}): Pod {
    const metadata = {
      name,
      uid: `uid-${name}`.padEnd(12, '0'),
      labels: {
        'app.kubernetes.io/managed-by': 'kube-buildx-action',
        'app.kubernetes.io/instance': 'pool',
      },
      resourceVersion: String((this.#version += 1)),
      ...more,
    };
    const pod: Pod = { metadata, status: { phase: 'Running' } };
    this.pods.set(name, pod);
    return pod;
  }

  /** Keeps the next such request until something else has happened. */
  hold(which: (request: SeenRequest) => boolean, until: () => Promise<unknown>): void {
    this.#held = { which, until };
  }

  /** Changes a Lease behind everybody's back; undefined deletes it. */
  meddle(name: string, change: (lease: Lease) => Lease | undefined): void {
    const lease = this.leases.get(name);
    if (lease === undefined) throw new Error(`there is no Lease ${name}`);
    const changed = change(lease);
    if (changed === undefined) {
      this.leases.delete(name);
      this.#tell('DELETED', lease);
    } else this.#store(this.leases, changed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
  }

  #answer(request: SeenRequest, response: ServerResponse): void {
    const { path, method, query, body } = request;
    const held = this.#held;
    if (held?.which(request) === true) {
      this.#held = undefined;
      void held.until().finally(() => {
        this.#answer(request, response);
      });
      return;
    }
    response.setHeader('date', new Date(this.nowMs).toUTCString());
    const refusal = this.refusal(request);
    if (refusal !== undefined) {
      refuse(response, refusal.status, refusal.message);
      return;
    }
    const [, resource = '', name] = /\/(leases|pods)(?:\/([^/]+))?$/.exec(path) ?? [];
    const objects = (resource === 'leases' ? this.leases : this.pods) as Map<string, Stored>;
    if (query.has('watch')) {
      response.writeHead(200);
      response.flushHeaders();
      const since = Number(query.get('resourceVersion'));
      for (const { version, line } of this.#events) if (version > since) response.write(line);
      this.#watchers.add(response);
      response.on('close', () => this.#watchers.delete(response));
      return;
    }
    const input = (body === '' ? {} : JSON.parse(body)) as Record<string, unknown>;
    if (method === 'GET' && name === undefined) {
      const metadata = { resourceVersion: String(this.#version) };
      const list = { metadata, items: [...objects.values()] };
      this.onRequest(request);
      json(response, 200, list);
      return;
    }
    this.onRequest(request);
    if (method === 'POST') this.#create(objects, input as unknown as Stored, response);
    else this.#change(objects, { name: name ?? '', method, input }, response);
  }

  #create(objects: Map<string, Stored>, object: Stored, response: ServerResponse): void {
    const { name } = object.metadata;
    if (objects.has(name)) {
      refuse(response, 409, `"${name}" already exists`, { reason: 'AlreadyExists' });
      return;
    }
    const creationTimestamp = new Date(this.nowMs).toISOString();
    const uid = `uid-${String(this.#version)}`;
    const stored = { ...object, metadata: { ...object.metadata, uid, creationTimestamp } };
    json(response, 201, this.#store(objects, stored, 'ADDED'));
  }

  #change(
    objects: Map<string, Stored>,
    { name, method, input }: { name: string; method: string; input: Record<string, unknown> },
    response: ServerResponse,
  ): void {
    const object = objects.get(name);
    if (object === undefined) {
      refuse(response, 404, `"${name}" not found`);
      return;
    }
    const wanted = (method === 'DELETE' ? input.preconditions : input.metadata) as
      { readonly uid?: string; readonly resourceVersion?: string } | undefined;
    const { uid, resourceVersion } = object.metadata;
    if (
      (wanted?.uid ?? uid) !== uid ||
      (wanted?.resourceVersion ?? resourceVersion) !== resourceVersion
    ) {
      refuse(response, 409, `"${name}" has been modified`, { reason: 'Conflict' });
    } else if (method === 'GET') json(response, 200, object);
    else if (method === 'DELETE') {
      objects.delete(name);
      if (objects === this.leases) this.#tell('DELETED', object);
      json(response, 200, { kind: 'Status', status: 'Success' });
    } else json(response, 200, this.#store(objects, merge(object, input) as Stored));
  }

  #store(objects: Map<string, Stored>, object: Stored, type = 'MODIFIED'): Stored {
    const time = new Date(this.nowMs).toISOString();
    this.#version += 1;
    const stored = {
      ...object,
      metadata: {
        ...object.metadata,
        resourceVersion: String(this.#version),
        managedFields: [{ time }],
      },
    };
    objects.set(object.metadata.name, stored);
    if (objects === this.leases) this.#tell(type, stored);
    return stored;
  }

  #tell(type: string, object: Stored): void {
    if (type === 'DELETED') this.#version += 1;
    const resourceVersion = String(this.#version);
    const told = { ...object, metadata: { ...object.metadata, resourceVersion } };
    const line = `${JSON.stringify({ type, object: told })}\n`;
    this.#events.push({ version: this.#version, line });
    for (const watcher of this.#watchers) watcher.write(line);
  }
}

/** A JSON merge patch. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const merged = new Map(Object.entries((target ?? {}) as Record<string, unknown>));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}
