import type { ResolveApiTarget } from './api-target.ts';
import { ApiTargets } from './api-targets.ts';
import { KubernetesError } from './errors.ts';
import type {
  Access,
  AccessRule,
  Filter,
  KubeClient,
  Observed,
  ResourceName,
  ResourceTypes,
  Selection,
  WatchEvent,
} from './kube-client.ts';
import type { KubeConfig } from './kube-config.ts';
import { createTargetReader } from './kube-credentials.ts';
import { fromKubeFailure } from './kube-failure.ts';
import { type ApiCall, KubeHttp, type KubeHttpLimits } from './kube-http.ts';
import type { KubeList, Node } from './kube-objects.ts';
import { groups, pathOf, queryOf, writeQuery } from './kube-paths.ts';
import { maskingTargets } from './target-secrets.ts';
import { parseWatchEvent } from './watch-event.ts';

export interface KubeClientOptions {
  /** Told what is secret before anything is sent. */
  readonly mask?: (secret: string) => void;
  readonly limits?: Partial<KubeHttpLimits> & {
    /** For one run of a credential plugin; default 60 000. */
    readonly pluginTimeoutMs?: number;
  };
}

/** Makes a client; nothing is sent before the first call. */
export function createKubeClient(
  config: KubeConfig,
  env: Readonly<Record<string, string | undefined>>,
  { mask = () => undefined, limits = {} }: KubeClientOptions = {},
): KubeClient {
  const targets = new ApiTargets(createTargetReader(config, env, limits));
  const resolveTarget = maskingTargets(targets.resolve, mask);
  return new HttpKubeClient(config, { targets, resolveTarget, limits });
}

class HttpKubeClient implements KubeClient {
  readonly source: string;
  readonly context: string;
  readonly server: URL;
  readonly namespace: string;
  readonly resolveTarget: ResolveApiTarget;
  readonly #targets: Disposable;
  readonly #http: KubeHttp;

  constructor(
    config: KubeConfig,
    parts: {
      readonly targets: Disposable;
      readonly resolveTarget: ResolveApiTarget;
      readonly limits: Partial<KubeHttpLimits>;
    },
  ) {
    this.source = config.source;
    this.context = config.name;
    this.server = new URL(config.cluster.server);
    this.namespace = config.namespace;
    this.resolveTarget = parts.resolveTarget;
    this.#targets = parts.targets;
    this.#http = new KubeHttp(parts.resolveTarget, parts.limits);
  }

  get<R extends ResourceName>(
    resource: R,
    at: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>> {
    const call = { method: 'GET', path: pathOf(resource, at.namespace, at.name) } as const;
    return this.#object(call, { verb: 'get', resource, ...at }, signal);
  }

  async list<R extends ResourceName>(
    resource: R,
    selection: Selection & { readonly limit?: number },
    signal: AbortSignal,
  ): Promise<KubeList<ResourceTypes[R]> & { readonly serverTimeMs: number }> {
    const { namespace } = selection;
    const path = pathOf(resource, namespace);
    const call = { method: 'GET', path, query: queryOf(selection) } as const;
    const about = { verb: 'list', resource, namespace };
    const { object, serverTimeMs } = await this.#object<KubeList<ResourceTypes[R]>>(
      call,
      about,
      signal,
    );
    return { ...object, serverTimeMs };
  }

  async *watch<R extends ResourceName>(
    resource: R,
    selection: Selection & { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<ResourceTypes[R]>, void, undefined> {
    const { namespace, resourceVersion, timeoutSeconds } = selection;
    const query = {
      ...queryOf(selection),
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(timeoutSeconds),
    };
    try {
      const path = pathOf(resource, namespace);
      for await (const line of this.#http.lines({ method: 'GET', path, query }, signal)) {
        yield parseWatchEvent<ResourceTypes[R]>(line);
      }
    } catch (failure) {
      throw this.#translate(failure, { verb: 'watch', resource, namespace }, signal);
    }
  }

  create<R extends ResourceName>(
    resource: R,
    at: {
      readonly namespace: string;
      readonly manifest: { metadata?: { name?: string } };
      readonly dryRun?: boolean;
      readonly strict?: boolean;
    },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>> {
    const { namespace, manifest } = at;
    const path = pathOf(resource, namespace);
    const call = { method: 'POST', path, body: manifest, ...writeQuery(at) } as const;
    const about = { verb: 'create', resource, namespace, name: manifest.metadata?.name };
    return this.#object(call, about, signal);
  }

  replace<R extends ResourceName>(
    resource: R,
    at: {
      readonly namespace: string;
      readonly manifest: { metadata?: { name?: string } };
      readonly dryRun?: boolean;
    },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>> {
    const { namespace, manifest } = at;
    const name = manifest.metadata?.name ?? '';
    const path = pathOf(resource, namespace, name);
    const call = { method: 'PUT', path, body: manifest, ...writeQuery(at) } as const;
    return this.#object(call, { verb: 'update', resource, namespace, name }, signal);
  }

  patch<R extends ResourceName>(
    resource: R,
    at: { readonly namespace: string; readonly name: string; readonly patch: object },
    signal: AbortSignal,
  ): Promise<Observed<ResourceTypes[R]>> {
    const call = {
      method: 'PATCH',
      path: pathOf(resource, at.namespace, at.name),
      body: at.patch,
      contentType: 'application/merge-patch+json',
    } as const;
    return this.#object(call, { verb: 'patch', resource, ...at }, signal);
  }

  async remove(
    resource: ResourceName,
    at: {
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion?: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion } = at;
    const call = {
      method: 'DELETE',
      path: pathOf(resource, at.namespace, at.name),
      body: { propagationPolicy: 'Background', preconditions: { uid, resourceVersion } },
    } as const;
    await this.#object(call, { verb: 'delete', resource, ...at }, signal);
  }

  async podLog(
    at: {
      readonly namespace: string;
      readonly name: string;
      readonly container: string;
      readonly tailLines: number;
      readonly previous: boolean;
    },
    signal: AbortSignal,
  ): Promise<string> {
    const query = {
      container: at.container,
      tailLines: String(at.tailLines),
      previous: String(at.previous),
    };
    const path = `${pathOf('pods', at.namespace, at.name)}/log`;
    const about = { verb: 'get', resource: 'pods/log', namespace: at.namespace, name: at.name };
    const answer = await this.#call({ method: 'GET', path, query }, about, signal);
    return answer.text;
  }

  async listNodes(filter: Filter, signal: AbortSignal): Promise<readonly Node[]> {
    const call = { method: 'GET', path: '/api/v1/nodes', query: queryOf(filter) } as const;
    const about = { verb: 'list', resource: 'nodes' };
    return (await this.#object<KubeList<Node>>(call, about, signal)).object.items;
  }

  async getNode(name: string, signal: AbortSignal): Promise<Node> {
    const call = { method: 'GET', path: `/api/v1/nodes/${encodeURIComponent(name)}` } as const;
    return (await this.#object<Node>(call, { verb: 'get', resource: 'nodes', name }, signal))
      .object;
  }

  async whoAmI(signal: AbortSignal): Promise<string | undefined> {
    const status = await this.#review<{ readonly userInfo?: { readonly username?: string } }>(
      { group: 'authentication.k8s.io', kind: 'SelfSubjectReview' },
      undefined,
      signal,
    );
    return status?.userInfo?.username;
  }

  async checkNamespace(namespace: string, signal: AbortSignal): Promise<void> {
    const call = {
      method: 'GET',
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}`,
    } as const;
    await this.#call(call, { verb: 'get', resource: 'namespaces', namespace }, signal);
  }

  async accessRules(
    namespace: string,
    signal: AbortSignal,
  ): Promise<{ readonly rules: readonly AccessRule[]; readonly incomplete: boolean }> {
    const status = await this.#review<{
      readonly resourceRules?: readonly AccessRule[];
      readonly incomplete?: boolean;
    }>({ group: authorization, kind: 'SelfSubjectRulesReview' }, { namespace }, signal);
    return { rules: status?.resourceRules ?? [], incomplete: status?.incomplete ?? true };
  }

  async hasAccess(namespace: string, access: Access, signal: AbortSignal): Promise<boolean> {
    const [resource, subresource = ''] = access.resource.split('/');
    const resourceAttributes = {
      namespace,
      verb: access.verb,
      group: access.group,
      resource,
      subresource,
    };
    const status = await this.#review<{ readonly allowed?: boolean }>(
      { group: authorization, kind: 'SelfSubjectAccessReview' },
      { resourceAttributes },
      signal,
    );
    return status?.allowed === true;
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
    this.#targets[Symbol.dispose]();
  }

  async #review<T>(
    { group, kind }: { readonly group: string; readonly kind: string },
    spec: object | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const path = `/apis/${group}/v1/${kind.toLowerCase()}s`;
    const body = { apiVersion: `${group}/v1`, kind, spec };
    const about = { verb: 'create', resource: `${kind.toLowerCase()}s.${group}` };
    const call = { method: 'POST', path, body } as const;
    return (await this.#object<{ readonly status?: T }>(call, about, signal)).object.status;
  }

  async #object<T>(call: ApiCall, about: CallSubject, signal: AbortSignal): Promise<Observed<T>> {
    const { text, serverTimeMs } = await this.#call(call, about, signal);
    try {
      return { object: JSON.parse(text) as T, serverTimeMs };
    } catch {
      throw new KubernetesError(
        'KUBE_API_FAILED',
        `cannot ${about.verb} ${about.resource}: ${this.server.host} did not answer with JSON`,
        { hint: 'Something between here and the API server answers in its place.' },
      );
    }
  }

  async #call(
    call: ApiCall,
    about: CallSubject,
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly serverTimeMs: number }> {
    try {
      return await this.#http.call(call, signal);
    } catch (failure) {
      throw this.#translate(failure, about, signal);
    }
  }

  #translate(failure: unknown, about: CallSubject, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const group = groups[about.resource as ResourceName] as string | undefined;
    return fromKubeFailure(failure, {
      server: this.server,
      verb: about.verb,
      resource: group === undefined || group === '' ? about.resource : `${about.resource}.${group}`,
      namespace: about.namespace,
      objectName: about.name,
    });
  }
}

const authorization = 'authorization.k8s.io';

interface CallSubject {
  readonly verb: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string | undefined;
}
