import type { KubeClient } from '../kube-client.ts';
import { isConflict, isNotFound } from '../kube-failure.ts';
import type { Lease } from '../kube-objects.ts';
import { type LeaseManifest, microTime } from './lease-object.ts';
import type { ServerClock } from './server-clock.ts';

/** The calls of `KubeClient` that claims make. */
export type LeaseClient = Pick<
  KubeClient,
  'list' | 'watch' | 'get' | 'create' | 'patch' | 'remove'
>;

/** What a Lease was found to be held by, when it is not by us. */
export interface Taken {
  /** Undefined when it has gone meanwhile. */
  readonly by: Lease | undefined;
}

/** Calls on Leases of one namespace that keep the server's clock. */
export class LeaseCalls {
  readonly client: LeaseClient;
  readonly namespace: string;
  readonly clock: ServerClock;

  constructor(client: LeaseClient, namespace: string, clock: ServerClock) {
    this.client = client;
    this.namespace = namespace;
    this.clock = clock;
  }

  async list(labelSelector: string, signal: AbortSignal): Promise<readonly Lease[]> {
    const { client, namespace } = this;
    const { items, serverTimeMs } = await client.list(
      'leases',
      { namespace, labelSelector },
      signal,
    );
    this.clock.observe(serverTimeMs);
    return items;
  }

  /** Undefined when there is none. */
  async find(name: string, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      const { object, serverTimeMs } = await this.client.get(
        'leases',
        { namespace: this.namespace, name },
        signal,
      );
      this.clock.observe(serverTimeMs);
      return object;
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }
  }

  /** Creates a Lease; of a create whose answer was lost the Lease is found to be ours. */
  async take(manifest: LeaseManifest, signal: AbortSignal): Promise<Lease | Taken> {
    const { client, namespace } = this;
    try {
      const { object, serverTimeMs } = await client.create(
        'leases',
        { namespace, manifest },
        signal,
      );
      this.clock.observe(serverTimeMs);
      return object;
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
    }
    const found = await this.find(manifest.metadata.name, signal);
    const isOurs = found?.spec?.holderIdentity === manifest.spec.holderIdentity;
    return found !== undefined && isOurs ? found : { by: found };
  }

  /** Renews the Lease as it was last seen; a 409 says that somebody has changed it since. */
  async renew(
    lease: Lease,
    annotations: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Lease> {
    const { client, namespace, clock } = this;
    const { name, resourceVersion } = lease.metadata;
    const patch = {
      metadata: { resourceVersion, annotations },
      spec: { renewTime: microTime(clock.nowMs) },
    };
    const { object, serverTimeMs } = await client.patch(
      'leases',
      { namespace, name, patch },
      signal,
    );
    clock.observe(serverTimeMs);
    return object;
  }

  /** Deletes the Lease as it was last seen; false when somebody has changed it since. */
  async remove({ metadata }: Lease, signal: AbortSignal): Promise<boolean> {
    const { name, uid, resourceVersion } = metadata;
    try {
      const at = { namespace: this.namespace, name, uid, resourceVersion };
      await this.client.remove('leases', at, signal);
      return true;
    } catch (thrown) {
      if (isNotFound(thrown)) return true;
      if (isConflict(thrown)) return false;
      throw thrown;
    }
  }
}

/** Whether what `take` gave is the Lease of somebody else. */
export function isTaken(result: Lease | Taken): result is Taken {
  return 'by' in result;
}
