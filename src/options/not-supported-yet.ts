/**
 * What the documentation promises and this version cannot do yet: the one list of it.
 *
 * Whoever implements an entry removes it here; the tables are empty when the product is whole.
 */
import { notSupportedYet } from './errors.ts';
import type { InputReader } from './input-reader.ts';

/** An input that may only have its default. */
interface Awaited {
  /** As in `action.yml`. */
  readonly default: string;
  /** Other words for the default. */
  readonly also?: readonly string[];
}

const unset: Awaited = { default: '' };
const off: Awaited = { default: 'false' };
const falseWords = ['false', 'False', 'FALSE'];

/** By input name; the strict booleans among them are those with a boolean default. */
export const inputsNotSupportedYet: ReadonlyMap<string, Awaited> = new Map(
  Object.entries({
    allow: unset,
    annotations: unset,
    attests: unset,
    'build-contexts': unset,
    'cache-from': unset,
    'cache-to': unset,
    call: { default: 'build' },
    emulation: { default: 'auto' },
    load: off,
    provenance: { default: '', also: falseWords },
    report: unset,
    sbom: { default: '', also: falseWords },
    'secret-envs': unset,
    'secret-files': unset,
    secrets: unset,
    ssh: unset,
    stage: off,
    summary: { default: 'true' },
  }),
);

/** Variables with which buildx changes a build; ignoring them would build something else. */
export const variablesNotSupportedYet: readonly string[] = [
  'BUILDX_BUILDER',
  'BUILDX_GIT_LABELS',
  'EXPERIMENTAL_BUILDKIT_SOURCE_POLICY',
];

/** Adds a problem for every input and variable that asks for something not supported yet. */
export function refuseWhatIsNotSupportedYet(
  reader: InputReader,
  env: Readonly<Record<string, string | undefined>>,
): void {
  for (const [name, awaited] of inputsNotSupportedYet) {
    if (!hasDefault(reader, name, awaited)) {
      const hint =
        awaited.default === ''
          ? `Remove \`${name}\`.`
          : `Remove \`${name}\` or set it to its default \`${awaited.default}\`.`;
      reader.problems.add(notSupportedYet(`input \`${name}\``, hint));
    }
  }
  for (const name of variablesNotSupportedYet) {
    if (!['', '0', 'false'].includes(env[name] ?? '')) {
      const hint = `Remove the environment variable \`${name}\` for this step.`;
      reader.problems.add(notSupportedYet(`environment variable \`${name}\``, hint));
    }
  }
}

function hasDefault(reader: InputReader, name: string, awaited: Awaited): boolean {
  if (awaited.default === 'true' || awaited.default === 'false') {
    const value = reader.boolean(name);
    // A word that is no boolean was reported as that already.
    return value === undefined || String(value) === awaited.default;
  }
  const value = reader.string(name);
  return value === '' || value === awaited.default || awaited.also?.includes(value) === true;
}
