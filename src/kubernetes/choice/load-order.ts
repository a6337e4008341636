import type { LoadBalance } from '../../options/options.ts';
import type { Pod } from '../kube-objects.ts';

/** How many builds run on a pod. */
export type LoadOf = (pod: Pod) => number;

/**
 * How many builds a pod may have, the new one included, before it passes that on: 1.25 times the mean
 * once the new one runs, rounded up.
 *
 * So a pod that is free never passes anything on, and there is always a pod that may take the build:
 * "consistent hashing with bounded loads" (Mirrokni, Thorup, Zadimoghaddam).
 */
export function fairShare(running: number, pods: number): number {
  return Math.ceil((5 * (running + 1)) / (4 * pods));
}

/** Orders ranked pods for one more build, by what runs on them where the strategy looks at that. */
export function orderByLoad(
  ranked: readonly Pod[],
  { strategy, loadOf }: { readonly strategy: LoadBalance; readonly loadOf: LoadOf },
): Pod[] {
  // Sorting keeps the order of equals, which is that of the rank.
  if (strategy === 'least-busy') return [...ranked].sort((a, b) => loadOf(a) - loadOf(b));
  if (strategy !== 'sticky') return [...ranked];
  const share = shareOf(ranked, loadOf);
  const mayTake = (pod: Pod): boolean => loadOf(pod) < share;
  return [...ranked.filter(mayTake), ...ranked.filter((pod) => !mayTake(pod))];
}

/** Says which pod was chosen and why. */
export function explainChoice(
  chosen: Pod,
  choice: {
    readonly ranked: readonly Pod[];
    readonly strategy: LoadBalance;
    /** What the strategy hashed. */
    readonly key: string;
    readonly loadOf: LoadOf;
    /** Whether a pod has no slot left. */
    readonly isFull: (pod: Pod) => boolean;
  },
): string {
  const { ranked, strategy, key, loadOf, isFull } = choice;
  const { name } = chosen.metadata;
  if (ranked.length === 1) return `Pod ${name}, the only one`;
  const first = strategy === 'least-busy' ? orderByLoad(ranked, choice)[0] : ranked[0];
  const title = titles[strategy](key);
  if (first === undefined || first === chosen) return `Pod ${name} of ${ranked.length}: ${title}`;
  const why = isFull(first)
    ? 'has no free slot'
    : `has ${loadOf(first)} of ${total(ranked, loadOf)} running builds`;
  return `Pod ${name} of ${ranked.length}: ${first.metadata.name}, ${title}, ${why}`;
}

/** What the pod is that comes first. */
const titles: Readonly<Record<LoadBalance, (key: string) => string>> = {
  sticky: (key) => `the favourite of ${key}`,
  random: () => 'drawn at random',
  'least-busy': () => 'the least busy',
  buildx: (key) => `the one of buildx for ${key}`,
};

function shareOf(pods: readonly Pod[], loadOf: LoadOf): number {
  return fairShare(total(pods, loadOf), pods.length);
}

function total(pods: readonly Pod[], loadOf: LoadOf): number {
  return pods.reduce((sum, pod) => sum + loadOf(pod), 0);
}
