import type { ActionOptions, BuilderOptions, Platform } from './options.ts';

/**
 * The node of a builder that makes a build.
 *
 * Follows docker/buildx (build/resolver/driver.go): the first node that declares the platform, else
 * the first that runs it natively, else the first of all; that one too where no platform is asked for.
 */
export function nodeForPlatforms({
  builder,
  append,
  build,
}: {
  readonly builder: BuilderOptions;
  readonly append: readonly BuilderOptions[];
  readonly build: Pick<ActionOptions['build'], 'platforms'>;
}): BuilderOptions {
  // The parser lets one platform through, so that one node makes the whole build.
  const [wanted] = build.platforms;
  if (wanted === undefined) return builder;
  const nodes = [builder, ...append];
  const declares = (matches: (declared: Platform, wanted: Platform) => boolean) =>
    nodes.find(({ platforms }) => platforms.some((declared) => matches(declared, wanted)));
  return declares(equals) ?? declares(covers) ?? builder;
}

/** Whether both are the same, which they are only in their normal form. */
export function equals(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && a.variant === b.variant;
}

/**
 * Whether a machine of one platform runs programs of another without emulation.
 *
 * Follows `platformVector` of containerd/platforms: newer variants run older ones, amd64 runs 386,
 * arm64 runs arm from v5 to v8.
 */
export function covers(declared: Platform, wanted: Platform): boolean {
  if (equals(declared, wanted)) return true;
  if (declared.os !== wanted.os) return false;
  const { architecture } = wanted;
  if (declared.architecture === 'amd64' && architecture === '386') return true;
  if (declared.architecture === 'arm64' && architecture === 'arm') return version(wanted) <= 8;
  return declared.architecture === architecture && version(declared) >= version(wanted);
}

/** Platforms are in their normal form, which leaves these variants out. */
const defaultVersions: Readonly<Record<string, number>> = { amd64: 1, arm64: 8 };

/** Not a number, and so equal to nothing, for a variant that has no order. */
function version({ architecture, variant }: Platform): number {
  if (variant === '') return defaultVersions[architecture] ?? NaN;
  return Number(/^v?(\d+(?:\.\d+)?)$/.exec(variant)?.[1]);
}
