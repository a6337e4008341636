import { InputError } from './errors.ts';
import type { InputReader } from './input-reader.ts';

/** Inputs of the peers that are about the buildx binary. */
const withoutMeaning = ['cache-binary', 'install', 'use', 'version'];
const aliases = new Map([
  ['config', 'buildkitd-config'],
  ['config-inline', 'buildkitd-config-inline'],
]);

/** The value of an input under its name or the one it had before; throws when they differ. */
export function readAliased(reader: InputReader, name: string): string | undefined {
  const value = reader.optional(name);
  const [alias = ''] = [...aliases].find(([, now]) => now === name) ?? [];
  const old = reader.optional(alias);
  if (value !== undefined && old !== undefined && value !== old) {
    throw new InputError(
      'INPUT_CONTRADICTION',
      `inputs \`${name}\` and \`${alias}\` are one input and have different values`,
      { hint: `Remove \`${alias}\`.` },
    );
  }
  return value ?? old;
}

/** What the log says of inputs that come from workflows for the Docker actions. */
export function describeLegacyInputs(reader: InputReader): string[] {
  const notices: string[] = [];
  const ignored = withoutMeaning.filter((name) => reader.optional(name) !== undefined);
  if (ignored.length > 0) {
    const names = ignored.map((name) => `\`${name}\``).join(', ');
    notices.push(`Ignored, because this action needs no buildx: ${names}.`);
  }
  for (const [alias, name] of aliases) {
    if (reader.optional(alias) !== undefined) {
      notices.push(`Input \`${alias}\` is an old name of \`${name}\`.`);
    }
  }
  return notices;
}
