import { describe, expect, it } from '@jest/globals';
import type { Lease, Pod } from '../../../../src/kubernetes/kube-objects.ts';
import {
  describeHolder,
  expiresAtMs,
  leaseManifest,
  microTime,
} from '../../../../src/kubernetes/leases/lease-object.ts';
import { buildLeaseName, PoolView } from '../../../../src/kubernetes/leases/pool-view.ts';
import { ServerClock } from '../../../../src/kubernetes/leases/server-clock.ts';
import { ordinal } from '../../../../src/shared/ordinal.ts';

const nowMs = Date.UTC(2026, 0, 1, 12);
const pod = (name: string): Pod => ({ metadata: { name, uid: `12345678-${name}` } });
const scope = { namespace: 'ci', builder: 'pool', workload: 'pool-linux-amd64' };

/** A Lease as the server gives it back. */
function lease(
  name: string,
  changes: {
    readonly kind?: 'build' | 'queue';
    readonly of?: Pod;
    readonly repository?: string;
    readonly version?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  } = {},
): Lease {
  const { kind = 'build', of = pod('a'), repository = 'acme/app', version = '1' } = changes;
  const manifest = leaseManifest(scope, {
    name,
    kind,
    pods: [of],
    holder: { repository, runId: '7', runUrl: '', jobId: '' },
    claimId: 'id',
    durationSeconds: 40,
    nowMs,
  });
  const annotations = { ...manifest.metadata.annotations, ...changes.annotations };
  return {
    ...manifest,
    metadata: { ...manifest.metadata, uid: name, resourceVersion: version, annotations },
  };
}

describe('a Lease', () => {
  it('expires after the server last saw it renewed', () => {
    const renewed = lease('x');
    expect(expiresAtMs(renewed)).toBe(nowMs + 40_000);
    const times = [nowMs + 1_000, nowMs + 5_000].map((time) => ({ time: microTime(time) }));
    const seen = { ...renewed, metadata: { ...renewed.metadata, managedFields: times } };
    expect(expiresAtMs(seen)).toBe(nowMs + 45_000);
  });

  it('has expired when it says nothing', () => {
    expect(expiresAtMs({ metadata: { name: 'x', uid: 'x' } })).toBe(40_000);
  });

  it('names its holder by what there is', () => {
    expect(describeHolder(lease('x'))).toBe('acme/app (run 7)');
    const bare: Lease = { metadata: { name: 'x', uid: 'x' }, spec: { holderIdentity: 'me' } };
    expect(describeHolder(bare)).toBe('me');
    expect(describeHolder({ metadata: { name: 'x', uid: 'x' } })).toBe('x');
  });

  it('has times as the API wants them', () => {
    expect(microTime(nowMs + 1)).toBe('2026-01-01T12:00:00.001000Z');
  });
});

describe('PoolView', () => {
  const [a, b] = [pod('a'), pod('b')];
  const slots = (view: PoolView, perPod: number): string[] =>
    view.freeSlots([a, b], perPod).map(({ leaseName }) => leaseName);

  it('knows the free slots, pod by pod', () => {
    const view = new PoolView([lease(buildLeaseName(a, 'slot-1'))], nowMs);
    expect(slots(view, 1)).toEqual(['b-12345678-slot-1']);
    expect(slots(view, 2).slice(0, 1)).toEqual(['a-12345678-slot-2']);
    expect(slots(view, 2).slice(1).sort()).toEqual(['b-12345678-slot-1', 'b-12345678-slot-2']);
  });

  it('lets a build without a slot take the place of one', () => {
    const view = new PoolView([lease('a-12345678-other')], nowMs);
    expect(slots(view, 1)).toEqual(['b-12345678-slot-1']);
    expect(slots(view, 2).filter((name) => name.startsWith('a'))).toHaveLength(1);
  });

  it('hands out the slot of a lost build with what is left there', () => {
    const lost = lease(buildLeaseName(a, 'slot-1'));
    const view = new PoolView([lost], nowMs + 41_000);
    expect(view.freeSlots([a], 1)).toMatchObject([{ pod: a, expired: lost }]);
    expect(view.litter).toEqual([]);
    expect(new PoolView([lost], nowMs + 341_000).litter).toEqual([lost]);
  });

  it('orders the queue by the versions of creation, which are numbers', () => {
    const created = { 'kube-buildx-action/created-at-version': '99' };
    const queue = [
      lease('third', { kind: 'queue', version: '1000' }),
      lease('first', { kind: 'queue', version: '5000', annotations: created }),
      lease('second', { kind: 'queue', version: '100' }),
    ];
    const names = (view: PoolView): string[] => view.queue.map(({ metadata }) => metadata.name);
    expect(names(new PoolView(queue, nowMs))).toEqual(['first', 'second', 'third']);
  });

  it('names who builds, each once and not too many', () => {
    const holders = ['p', 'p', 'q', 'r', 's', 't', 'u', 'v'];
    const leases = holders.map((repository, index) => lease(`x-${index}`, { repository }));
    const view = new PoolView(leases, nowMs);
    const named = ['p (run 7) ×2', ...['q', 'r', 's', 't'].map((name) => `${name} (run 7)`)];
    expect(view.describeHolders([a])).toBe([...named, '2 more'].join(', '));
    expect(view.describeHolders([b])).toBe('nobody');
  });
});

describe('ServerClock', () => {
  it('goes by the latest reading', () => {
    const clock = new ServerClock();
    expect(Math.abs(clock.nowMs - Date.now())).toBeLessThan(60_000);
    clock.observe(nowMs);
    clock.observe(nowMs - 900);
    expect(clock.nowMs).toBeGreaterThanOrEqual(nowMs);
    expect(clock.nowMs).toBeLessThan(nowMs + 60_000);
  });
});

describe('ordinal', () => {
  it.each([
    [1, '1st'],
    [2, '2nd'],
    [3, '3rd'],
    [4, '4th'],
    [11, '11th'],
    [12, '12th'],
    [21, '21st'],
    [113, '113th'],
  ])('of %i is %s', (number, expected) => {
    expect(ordinal(number)).toBe(expected);
  });
});
