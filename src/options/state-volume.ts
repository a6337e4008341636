/** The driver options that say where the daemon keeps its state. */
import { invalidOption } from './driver-option-names.ts';
import { wordOf } from './driver-option-values.ts';
import { InputError } from './errors.ts';
import { dnsSubdomainForm, isDnsSubdomain } from './kubernetes-names.ts';
import type { StateVolume } from './options.ts';
import type { Problems } from './problems.ts';
import { readQuantity } from './resources.ts';

const memory = 'buildkit-root-volume-memory';
const storage = 'persistent-volume-claim.requests.storage';
const storageClass = 'persistent-volume-claim.storage-class';
const accessMode = 'persistent-volume-claim.access-mode';
const accessModes = ['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'] as const;

/** The options that exclude each other, for nodes that inherit some of them. */
export const stateVolumeOptions = [memory, storage, storageClass, accessMode] as const;

/** From driver options by name; without any an empty folder of the node. */
export function parseStateVolume(
  given: ReadonlyMap<string, string>,
  problems: Problems,
): StateVolume {
  const none: StateVolume = { kind: 'empty-dir' };
  return problems.guard(none, () => {
    const claim = parseClaim(given, problems);
    const sizeLimit = parseSize(given, memory);
    if (sizeLimit === undefined) return claim ?? none;
    if (claim === undefined) return { kind: 'memory', sizeLimit };
    throw new InputError(
      'INPUT_CONTRADICTION',
      `input \`driver-opts\`: \`${memory}\` and \`${storage}\` exclude each other`,
      { hint: `Keep \`${storage}\` for a cache that lasts, \`${memory}\` for a fast one.` },
    );
  });
}

function parseClaim(
  given: ReadonlyMap<string, string>,
  problems: Problems,
): StateVolume | undefined {
  const size = parseSize(given, storage);
  const className = problems.guard(undefined, () => parseClass(given.get(storageClass)));
  const mode = given.get(accessMode);
  const parsed = problems.guard('ReadWriteOnce', () =>
    mode === undefined ? 'ReadWriteOnce' : wordOf(accessModes, { option: accessMode, value: mode }),
  );
  if (size !== undefined) {
    return { kind: 'claim', storage: size, storageClass: className, accessMode: parsed };
  }
  const alone = [storageClass, accessMode].find((option) => (given.get(option) ?? '') !== '');
  if (alone === undefined) return undefined;
  throw invalidOption({
    option: alone,
    value: given.get(alone),
    problem: `says how a volume is claimed, but no size is`,
    expected: `\`${storage}\` beside it, such as ${storage}=20Gi`,
  });
}

function parseSize(given: ReadonlyMap<string, string>, option: string): string | undefined {
  const value = given.get(option);
  if (value === undefined || value === '') return undefined;
  const { text, nanos } = readQuantity(option, value);
  if (nanos > 0n) return text;
  throw invalidOption({ option, value, problem: 'is no size', expected: 'a size such as 20Gi' });
}

/** Empty means the default class of the cluster, as if it were not given. */
function parseClass(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (isDnsSubdomain(value)) return value;
  const problem = 'is not a name of a storage class';
  throw invalidOption({ option: storageClass, value, problem, expected: dnsSubdomainForm });
}
