import type { ConnectionKind } from '../../options/options.ts';

/** What a run is about to do, as far as rights depend on it. */
export interface Undertaking {
  /** Whether the builder is made if it is missing, rather than only used. */
  readonly creates: boolean;
  readonly workload: 'deployments' | 'statefulsets';
  /** Whether the daemon gets files, or its builder an owner that stays: both are ConfigMaps. */
  readonly usesConfigMap: boolean;
  /** Whether there are private keys among those files. */
  readonly usesSecret: boolean;
  /** Whether other jobs may use the builder too. */
  readonly isShared: boolean;
  /** Whether it, or its state, outlives the jobs that use it. */
  readonly isPool: boolean;
  /** Whether the mode is found out by trying. */
  readonly triesModes: boolean;
  readonly connection: ConnectionKind;
}

const occasions = {
  'to build': () => true,
  'to create the builder': ({ creates }: Undertaking) => creates,
  'to create one that goes with its job': ({ creates, isPool }: Undertaking) => creates && !isPool,
  'to create one with claims': ({ creates, workload }: Undertaking) =>
    creates && workload === 'statefulsets',
  'to create one with configuration, or a pool': ({ creates, usesConfigMap }: Undertaking) =>
    creates && usesConfigMap,
  'to create one with private keys in it': ({ creates, usesSecret }: Undertaking) =>
    creates && usesSecret,
  'to create one with `mode: auto`': ({ creates, triesModes }: Undertaking) =>
    creates && triesModes,
  'to create a pool': ({ creates, isPool }: Undertaking) => creates && isPool,
  'to create one with a `name`': ({ creates, isShared }: Undertaking) => creates && isShared,
  'to create one with claims and a `name`': ({ creates, isShared, workload }: Undertaking) =>
    creates && isShared && workload === 'statefulsets',
  'to create one for such a connection': ({ creates, connection }: Undertaking) =>
    creates && connection !== 'exec',
  'to build on one with claims and a `name`': ({ isShared, workload }: Undertaking) =>
    isShared && workload === 'statefulsets',
  'to build on one with a `name`': ({ isShared }: Undertaking) => isShared,
  'to connect other than by exec': ({ connection }: Undertaking) => connection !== 'exec',
} satisfies Readonly<Record<string, (undertaking: Undertaking) => boolean>>;

/** When a right is asked for, as the README calls it. */
export type Occasion = keyof typeof occasions;

/** Whether an undertaking is an occasion to ask for a right. */
export function isOccasion(occasion: Occasion, undertaking: Undertaking): boolean {
  return occasions[occasion](undertaking);
}
