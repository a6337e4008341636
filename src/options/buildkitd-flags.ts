import { InputError, invalidInput } from './errors.ts';
import { OpenQuoteError, splitShellWords } from './shell-words.ts';

const input = 'buildkitd-flags';
const entitlementFlag = 'allow-insecure-entitlement';
/** Where the daemon listens, and who may talk to it, is not the user's to say: `RUN` steps reach its ports. */
const ours = new Set(['addr', 'tlscacert', 'tlscert', 'tlskey']);

/** Flags of the daemon, apart from the entitlements among them. */
export interface BuildkitdFlags {
  readonly flags: readonly string[];
  readonly entitlements: readonly string[];
}

/** Splits flags as a shell does; entitlements are found wherever they stand. Throws an `InputError`. */
export function parseBuildkitdFlags(text: string): BuildkitdFlags {
  const flags: string[] = [];
  const entitlements: string[] = [];
  const words = split(text);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const [, name = '', value] = /^--?([\w.-]+)(?:=([^]*))?$/.exec(word) ?? [];
    if (ours.has(name)) throw refused(name);
    if (name !== entitlementFlag) {
      flags.push(word);
      continue;
    }
    if (value === undefined) index += 1;
    const entitlement = value ?? words[index] ?? '';
    if (entitlement === '' || entitlement.startsWith('-')) throw noEntitlement();
    entitlements.push(entitlement);
  }
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

function refused(name: string): InputError {
  return new InputError(
    'INPUT_CONTRADICTION',
    `input \`${input}\`: \`--${name}\` is set by this action`,
    { hint: 'Choose the way to the daemon with `connection`.' },
  );
}
