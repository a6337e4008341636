import { parse, type TomlTable } from 'smol-toml';
import type { KubernetesDriverOptions } from '../../options/options.ts';
import { parseQuantity } from '../../shared/quantity.ts';
import type { BuilderSpec } from '../builder-spec.ts';

/**
 * What builds leave may take this part of a volume: garbage is collected after builds, not during
 * them, so what a running build adds must have room beside it.
 */
const keptPercent = 75n;

/** In lower case, as the daemon reads them in any. */
const settingNames = [
  'gc',
  'gckeepstorage',
  'gcpolicy',
  'maxusedspace',
  'minfreespace',
  'reservedspace',
];

/**
 * Flags that keep the daemon from filling its own volume.
 *
 * By itself the daemon goes by the size of the file system, which for a limited `emptyDir` is that
 * of the whole node. None where no size is known, or the user has a policy of their own.
 *
 * One number is a cap on what is kept, and every version of the daemon reads it, unlike the newer
 * settings of its TOML; a file would also hide one that the image may have.
 */
export function gcFlags(spec: BuilderSpec): string[] {
  const size = stateSizeBytes(spec);
  if (size === undefined || hasOwnPolicy(spec)) return [];
  const megabytes = (size * keptPercent) / 100n / 1_000_000n;
  // None at all would mean no cap.
  return [`--oci-worker-gc-keepstorage=${megabytes > 0n ? megabytes : 1n}`];
}

function stateSizeBytes({ driver }: BuilderSpec): bigint | undefined {
  const size = sizeOf(driver);
  const billionths = size === undefined ? undefined : parseQuantity(size);
  return billionths === undefined ? undefined : billionths / 1_000_000_000n;
}

function sizeOf({ stateVolume, limits }: KubernetesDriverOptions): string | undefined {
  switch (stateVolume.kind) {
    case 'claim':
      return stateVolume.storage;
    case 'memory':
      return stateVolume.sizeLimit;
    case 'empty-dir':
      return limits['ephemeral-storage'];
  }
}

function hasOwnPolicy({ flags, files }: BuilderSpec): boolean {
  if (flags.some((flag) => /^--?oci-worker-gc\b/.test(flag))) return true;
  const config = files.find(({ path }) => path === 'buildkitd.toml');
  if (config === undefined) return false;
  const oci = tableIn(tableIn(parse(config.content), 'worker'), 'oci');
  return Object.keys(oci).some((name) => settingNames.includes(name.toLowerCase()));
}

function tableIn(table: TomlTable, name: string): TomlTable {
  const value = table[name];
  const isTable = typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
  return isTable ? value : {};
}
