import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import { isConflict, isForbidden, isNotFound } from '../kube-failure.ts';
import type { Lease } from '../kube-objects.ts';
import { isTaken, type LeaseCalls } from './lease-calls.ts';
import { createdAtAnnotation, describeHolder, type LeaseManifest } from './lease-object.ts';

export interface HeldLeaseOptions {
  readonly calls: LeaseCalls;
  /** Made anew for each creation, since it tells the time. */
  readonly manifest: () => LeaseManifest;
  /** If it has been taken already; else it is with the first beat. */
  readonly lease?: Lease | undefined;
  readonly beatMs: number;
  readonly logger: Logger;
  /** Rights are missing: it is not held, or not for long. */
  readonly onForbidden: (failure: unknown) => void;
  /** Another one holds it now; we have let go. */
  readonly onStolen: (holder: string) => void;
}

/**
 * A Lease that is ours, renewed until it is released.
 *
 * A beat that fails is tried again at the next one, for as long as it takes. A Lease that somebody
 * deleted is created again; one that somebody else holds is his.
 */
export class HeldLease {
  /** Resolves when the first beat is over, however it went. */
  readonly started: Promise<void>;
  readonly #options: HeldLeaseOptions;
  /** Ends the beat. */
  readonly #stop = new AbortController();
  /** Ends whatever is under way. */
  readonly #cut = new AbortController();
  readonly #beating: Promise<void>;
  #lease: Lease | undefined;
  /** Names our claim: who holds a Lease with another one is not us. */
  readonly #identity: string | undefined;
  #createdAt: string | undefined;

  constructor(options: HeldLeaseOptions) {
    this.#options = options;
    this.#identity = options.manifest().spec.holderIdentity;
    this.#see(options.lease);
    const started = Promise.withResolvers<undefined>();
    this.started = started.promise;
    this.#beating = this.#beat(() => {
      started.resolve(undefined);
    });
  }

  /** Whether it is ours, as far as we know. */
  get isHeld(): boolean {
    return this.#lease !== undefined;
  }

  /** Ends the beat and deletes the Lease, unless it is somebody else's by now; throws when it cannot. */
  async release(signal: AbortSignal): Promise<void> {
    const { calls } = this.#options;
    const cut = (): void => {
      this.#cut.abort();
    };
    this.#stop.abort();
    signal.addEventListener('abort', cut, { once: true });
    await this.#beating;
    signal.removeEventListener('abort', cut);
    while (this.#lease !== undefined && !(await calls.remove(this.#lease, signal))) {
      const found = await calls.find(this.#lease.metadata.name, signal);
      this.#lease = this.#isOurs(found) ? found : undefined;
    }
  }

  #isOurs(lease: Lease | undefined): boolean {
    return lease?.spec?.holderIdentity === this.#identity;
  }

  #see(lease: Lease | undefined): void {
    this.#lease = lease;
    this.#createdAt ??= lease?.metadata.resourceVersion;
  }

  async #beat(onFirst: () => void): Promise<void> {
    const { beatMs } = this.#options;
    const { signal } = this.#stop;
    if (this.#lease !== undefined) onFirst();
    let goesOn = this.#lease !== undefined || (await this.#renew());
    onFirst();
    while (goesOn) {
      await sleep(beatMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      goesOn = await this.#renew();
    }
  }

  /** Whether there is something left to renew. */
  async #renew(): Promise<boolean> {
    const { logger, onForbidden } = this.#options;
    const { signal } = this.#stop;
    try {
      return await this.#holdOn(signal);
    } catch (thrown) {
      if (signal.aborted) return false;
      if (isForbidden(thrown)) {
        onForbidden(thrown);
        return false;
      }
      logger.debug(`A Lease is renewed again later: ${messageOf(thrown)}`);
      return true;
    }
  }

  async #holdOn(signal: AbortSignal): Promise<boolean> {
    const { calls } = this.#options;
    if (this.#lease === undefined) return this.#take();
    try {
      const annotations = { [createdAtAnnotation]: this.#createdAt ?? '' };
      this.#see(await calls.renew(this.#lease, annotations, signal));
      return true;
    } catch (thrown) {
      if (!isConflict(thrown) && !isNotFound(thrown)) throw thrown;
    }
    const found = await calls.find(this.#lease.metadata.name, signal);
    if (found !== undefined && !this.#isOurs(found)) return this.#giveUp(found);
    this.#see(found);
    if (found !== undefined) return true;
    this.#createdAt = undefined;
    return this.#take();
  }

  /** Not cut short by the end of the beat: a release must know whether there is what to delete. */
  async #take(): Promise<boolean> {
    const { calls, manifest } = this.#options;
    const taken = await calls.take(manifest(), this.#cut.signal);
    if (isTaken(taken)) {
      // Gone before it could be read: the next beat will see.
      return taken.by === undefined || this.#giveUp(taken.by);
    }
    this.#see(taken);
    return true;
  }

  #giveUp(found: Lease): boolean {
    this.#lease = undefined;
    this.#options.onStolen(describeHolder(found));
    return false;
  }
}
