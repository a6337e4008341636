import { createHash } from 'node:crypto';
import type { Pod } from '../kube-objects.ts';

/**
 * Orders pods for a key as buildx does, so that both build the same context on the same pod.
 *
 * Each pod has one point on a ring, the MD5 of its name and `-0` as two signed numbers. The first
 * pod is that of the first point after the MD5 of the key; the others follow along the ring. As
 * serialx/hashring of July 2020, which buildx has vendored.
 */
export function rankByBuildxRing(pods: readonly Pod[], key: string): Pod[] {
  const ring = pods
    .map((pod) => ({ pod, point: pointOf(`${pod.metadata.name}-0`) }))
    .sort((a, b) => compare(a.point, b.point))
    .map(({ pod, point }) => ({ pod, isAfter: compare(point, pointOf(key)) > 0 }));
  const first = ring.findIndex(({ isAfter }) => isAfter);
  const turned = first < 0 ? ring : [...ring.slice(first), ...ring.slice(0, first)];
  return turned.map(({ pod }) => pod);
}

interface Point {
  readonly high: bigint;
  readonly low: bigint;
}

function pointOf(text: string): Point {
  const digest = createHash('md5').update(text).digest();
  return { high: digest.readBigInt64LE(0), low: digest.readBigInt64LE(8) };
}

function compare(a: Point, b: Point): number {
  if (a.high !== b.high) return a.high < b.high ? -1 : 1;
  if (a.low !== b.low) return a.low < b.low ? -1 : 1;
  return 0;
}
