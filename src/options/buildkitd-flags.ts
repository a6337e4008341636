import { InputError, invalidInput } from './errors.ts';
import { Problems } from './problems.ts';
import { OpenQuoteError, splitShellWords } from './shell-words.ts';

const input = 'buildkitd-flags';
const entitlementFlag = 'allow-insecure-entitlement';
/**
 * Flags that are set here, with what to use instead.
 *
 * Where the daemon listens, and who may talk to it, is not the user's to say: `RUN` steps reach its
 * ports. With another file or folder it would pass over its configuration, or the volume of its state.
 */
const ours: ReadonlyMap<string, string> = new Map([
  ...['addr', 'tlscacert', 'tlscert', 'tlskey'].map((name): [string, string] => [
    name,
    'Choose the way to the daemon with `connection`.',
  ]),
  ['config', 'Give the configuration in `buildkitd-config` or `buildkitd-config-inline`.'],
  ['root', 'Choose the volume of the state with `driver-opts`.'],
]);

/** Flags of the daemon, apart from the entitlements among them. */
export interface BuildkitdFlags {
  readonly flags: readonly string[];
  readonly entitlements: readonly string[];
}

/**
 * Splits flags as a shell does; entitlements are found wherever they stand.
 *
 * Throws one `InputError` with all that is wrong.
 */
export function parseBuildkitdFlags(text: string): BuildkitdFlags {
  const flags: string[] = [];
  const entitlements: string[] = [];
  const problems = new Problems();
  const words = split(text);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const [, name = '', value] = /^--?([\w.-]+)(?:=([^]*))?$/.exec(word) ?? [];
    const instead = ours.get(name);
    if (instead !== undefined) problems.add(refused(name, instead));
    if (name !== entitlementFlag) {
      flags.push(word);
      continue;
    }
    if (value === undefined) index += 1;
    const entitlement = value ?? words[index] ?? '';
    if (entitlement === '' || entitlement.startsWith('-')) problems.add(noEntitlement());
    entitlements.push(entitlement);
  }
  problems.throwIfAny();
  return { flags, entitlements: [...new Set(entitlements)] };
}

function split(text: string): string[] {
  try {
    return splitShellWords(text);
  } catch (error) {
    if (!(error instanceof OpenQuoteError)) throw error;
    throw invalidInput({
      input,
      problem: 'has a quote that is never closed, or a backslash at its end',
      expected: 'flags as a shell reads them, such as --debug --oci-worker-gc=false',
    });
  }
}

function noEntitlement(): InputError {
  return invalidInput({
    input,
    value: `--${entitlementFlag}`,
    problem: 'says no entitlement',
    expected: `--${entitlementFlag}=network.host`,
  });
}

function refused(name: string, hint: string): InputError {
  return new InputError(
    'INPUT_CONTRADICTION',
    `input \`${input}\`: \`--${name}\` is set by this action`,
    { hint },
  );
}
