import { invalidInput, notSupportedYet } from './errors.ts';
import type { InputReader } from './input-reader.ts';

type KeyValues = Readonly<Record<string, string>>;

/**
 * `labels`: the last of equal names wins, one without `=` is empty.
 *
 * Values are never part of a message, since secrets end up in them.
 */
export function parseLabels(reader: InputReader): KeyValues {
  return Object.fromEntries(entries(reader, 'labels').map(([key, value]) => [key, value ?? '']));
}

/**
 * `build-args`: one without `=` has the value of that variable, and is left out when it is unset;
 * `SOURCE_DATE_EPOCH` of the environment is added.
 */
export function parseBuildArgs(
  reader: InputReader,
  env: Readonly<Record<string, string | undefined>>,
): KeyValues {
  const given = entries(reader, 'build-args').flatMap(([key, value]): [string, string][] => {
    const known = value ?? env[key];
    return known === undefined ? [] : [[key, known]];
  });
  const epoch = env.SOURCE_DATE_EPOCH ?? '';
  const inherited: [string, string][] = epoch === '' ? [] : [['SOURCE_DATE_EPOCH', epoch]];
  const buildArgs = Object.fromEntries([...inherited, ...given]);
  reader.problems.guard(undefined, () => {
    checkClientArgs(buildArgs);
  });
  return buildArgs;
}

function entries(reader: InputReader, input: string): [string, string | undefined][] {
  return reader.problems.guardEach(reader.lineList(input), (line, index) => {
    const equals = line.indexOf('=');
    if (equals === 0) {
      const problem = `element ${index + 1} has no name before its \`=\``;
      throw invalidInput({ input, problem, expected: 'name=value' });
    }
    return equals < 0 ? [line, undefined] : [line.slice(0, equals), line.slice(equals + 1)];
  });
}

/** Throws for build arguments that mean something to the client and cannot be honoured. */
function checkClientArgs(buildArgs: KeyValues): void {
  if (Object.hasOwn(buildArgs, 'BUILDKIT_SYNTAX') && buildArgs.BUILDKIT_SYNTAX?.trim() === '') {
    throw invalidInput({
      input: 'build-args',
      problem: '`BUILDKIT_SYNTAX` is empty',
      expected: 'an image reference such as docker/dockerfile:1',
    });
  }
  if (/^(?:1|t|true)$/i.test(buildArgs.BUILDKIT_INLINE_CACHE ?? '')) {
    throw notSupportedYet('input `build-args`: `BUILDKIT_INLINE_CACHE`', 'Remove it.');
  }
}
