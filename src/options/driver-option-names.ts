/** Which driver options there are; `docs/driver-options.md` has a row for each. */
import { invalidInput, type InputError } from './errors.ts';

/** Options whose value is a map. */
export const mapOptionNames = ['annotations', 'env', 'labels', 'nodeselector'] as const;
/** Options whose value is a list. */
export const listOptionNames = ['image-pull-secrets', 'tolerations'] as const;
/** Options with one value. */
export const scalarOptionNames = [
  'buildkit-root-volume-memory',
  'default-load',
  'drain-timeout',
  'image',
  'image-pull-policy',
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'loadbalance',
  'mode',
  'namespace',
  'persistent-volume-claim.access-mode',
  'persistent-volume-claim.requests.storage',
  'persistent-volume-claim.storage-class',
  'qemu.image',
  'qemu.install',
  'replicas',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
  'rootless',
  'schedulername',
  'serviceaccount',
  'timeout',
] as const;

export type MapOptionName = (typeof mapOptionNames)[number];
export type ListOptionName = (typeof listOptionNames)[number];
export type ScalarOptionName = (typeof scalarOptionNames)[number];
export type DriverOptionName = MapOptionName | ListOptionName | ScalarOptionName;

/** All names, sorted; `env` is written `env.NAME` outside of YAML. */
export const driverOptionNames: readonly DriverOptionName[] = [
  ...mapOptionNames,
  ...listOptionNames,
  ...scalarOptionNames,
].sort();

const byName: ReadonlyMap<string, DriverOptionName> = new Map<string, DriverOptionName>([
  ...driverOptionNames.map((name): [string, DriverOptionName] => [name, name]),
  ['annotation', 'annotations'],
]);

/** The option that a name in any letter case stands for. */
export function driverOptionOf(written: string): DriverOptionName | undefined {
  return byName.get(written.toLowerCase());
}

/** An `INPUT_INVALID` error about one driver option; leave `value` out where it may be a secret. */
export function invalidOption({
  option,
  value,
  ...rest
}: {
  readonly option: string;
  readonly value?: string | undefined;
  readonly problem: string;
  readonly expected?: string;
  readonly hint?: string | undefined;
}): InputError {
  const shown = value === undefined ? option : `${option}=${value}`;
  return invalidInput({ input: 'driver-opts', value: shown, ...rest });
}
