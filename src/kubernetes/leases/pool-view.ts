import type { Lease, Pod } from '../kube-objects.ts';
import {
  claimKind,
  createdAtAnnotation,
  describeHolder,
  expiresAtMs,
  isLive,
  podUidOf,
} from './lease-object.ts';

/** A place for one build on a pod. */
export interface Slot {
  readonly pod: Pod;
  /** Of its Lease: fixed, so that the server lets only one have it. */
  readonly leaseName: string;
  /** What a lost build left there. */
  readonly expired: Lease | undefined;
}

/** What the Leases of a builder say at one moment. */
export class PoolView {
  /** Those whose holder is lost. */
  readonly expired: readonly Lease[];
  /** Of those, what has lain there for a while: nobody will come back to it. */
  readonly litter: readonly Lease[];
  /** Those that wait, first come first. */
  readonly queue: readonly Lease[];
  readonly #builds: readonly Lease[];
  readonly #loads = new Map<string | undefined, number>();
  readonly #expiries: readonly number[];

  /** `nowMs` by the server's clock. */
  constructor(leases: readonly Lease[], nowMs: number) {
    const live = leases.filter((lease) => isLive(lease, nowMs));
    this.expired = leases.filter((lease) => !isLive(lease, nowMs));
    this.litter = this.expired.filter((lease) => !isLive(lease, nowMs - litterAgeMs));
    this.queue = live.filter((lease) => claimKind(lease) === 'queue').sort(byCreation);
    this.#builds = live.filter((lease) => claimKind(lease) === 'build');
    for (const uid of this.#builds.map(podUidOf)) {
      this.#loads.set(uid, (this.#loads.get(uid) ?? 0) + 1);
    }
    this.#expiries = live.map((lease) => expiresAtMs(lease) - nowMs);
  }

  /** How many builds run on a pod. */
  readonly loadOf = ({ metadata }: Pod): number => this.#loads.get(metadata.uid) ?? 0;

  get hasBuilds(): boolean {
    return this.#builds.length > 0;
  }

  /** In how many milliseconds the next Lease expires, unless that is renewed; else infinite. */
  get nextExpiryMs(): number {
    return Math.min(Infinity, ...this.#expiries);
  }

  /**
   * The free slots of pods, in the order of the pods.
   *
   * Those of one pod are shuffled, so that not all want the same one. Builds without a slot, of users
   * who set no limit, count too.
   */
  freeSlots(pods: readonly Pod[], perPod: number): Slot[] {
    const taken = new Set(this.#builds.map(({ metadata }) => metadata.name));
    return pods.flatMap((pod) => {
      const names = Array.from({ length: perPod }, (_item, index) => slotName(pod, index + 1));
      const free = shuffle(names.filter((name) => !taken.has(name)));
      return free.slice(0, Math.max(0, perPod - this.loadOf(pod))).map((leaseName) => {
        const expired = this.expired.find(({ metadata }) => metadata.name === leaseName);
        return { pod, leaseName, expired };
      });
    });
  }

  /** Who builds on these pods, in words. */
  describeHolders(pods: readonly Pod[]): string {
    const uids = new Set(pods.map(({ metadata }) => metadata.uid));
    const holders = this.#builds
      .filter((lease) => uids.has(podUidOf(lease) ?? ''))
      .map(describeHolder);
    const counts = [...new Set(holders)].map((holder) => {
      const times = holders.filter((other) => other === holder).length;
      return times === 1 ? holder : `${holder} ×${times}`;
    });
    const shown = counts.slice(0, shownHolders);
    const more = counts.length - shown.length;
    return [...shown, ...(more === 0 ? [] : [`${more} more`])].join(', ') || 'nobody';
  }
}

const shownHolders = 5;
const litterAgeMs = 5 * 60_000;

/** The name of a Lease for a build on a pod; a pod of the same name that comes later has others. */
export function buildLeaseName({ metadata }: Pod, suffix: string): string {
  return `${metadata.name}-${metadata.uid.slice(0, 8)}-${suffix}`;
}

function slotName(pod: Pod, number: number): string {
  return buildLeaseName(pod, `slot-${number}`);
}

/**
 * By the version of creation, which the server counts up; by its time, in whole seconds, where
 * versions are no numbers.
 */
function byCreation(a: Lease, b: Lease): number {
  const [first, second] = [createdAtVersion(a), createdAtVersion(b)];
  if (first !== undefined && second !== undefined && first !== second) {
    return first < second ? -1 : 1;
  }
  return orderText(a) < orderText(b) ? -1 : 1;
}

/** A Lease that was never renewed still has the version of its creation. */
function createdAtVersion({ metadata }: Lease): bigint | undefined {
  const text = metadata.annotations?.[createdAtAnnotation] ?? metadata.resourceVersion ?? '';
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

function orderText({ metadata }: Lease): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}

function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
