/** The inputs `name` and `builder`. */
import { join } from 'node:path';
import { InputError, invalidInput } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { isDnsLabel } from './kubernetes-names.ts';
import type { BuilderOptions } from './options.ts';
import type { World } from './world.ts';

/** Leaves 18 characters of a DNS label for a dash and the platform. */
const longestName = 45;

/** Where the `setup` action leaves what later steps of the job need to find its builder. */
export function handoverPath(runnerTemp: string, name: string): string {
  return join(runnerTemp, 'kube-buildx', `${name}.json`);
}

/** `builder` must be there already, `name` is created or reused; neither: a builder for this job. */
export function parseBuilderName(
  reader: InputReader,
  world: World,
): Pick<BuilderOptions, 'name' | 'mustExist'> {
  const unnamed = { name: undefined, mustExist: false };
  return reader.problems.guard<Pick<BuilderOptions, 'name' | 'mustExist'>>(unnamed, () => {
    const name = reader.optional('name');
    const builder = reader.optional('builder');
    if (name !== undefined && builder !== undefined && name !== builder) {
      throw new InputError(
        'INPUT_CONTRADICTION',
        'inputs `name` and `builder` have different values',
        { hint: 'Keep `name` to create or reuse a builder, `builder` if it must exist.' },
      );
    }
    const input = builder === undefined ? 'name' : 'builder';
    const chosen = builder ?? name;
    if (chosen === undefined) return unnamed;
    checkName(input, chosen);
    checkFork({ input, name: chosen, world });
    return { name: chosen, mustExist: builder !== undefined };
  });
}

function checkName(input: string, name: string): void {
  if (isDnsLabel(name, longestName)) return;
  const suggestion = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, longestName)
    .replaceAll(/^-+|-+$/g, '');
  throw invalidInput({
    input,
    value: name,
    problem: 'is not a name of a builder',
    expected: `at most ${longestName} lower-case letters, digits and dashes, no dash at either end`,
    hint: suggestion === '' ? undefined : `Write \`${suggestion}\`.`,
  });
}

/** A builder of others keeps caches, which code from outside could read and poison. */
function checkFork({ input, name, world }: { input: string; name: string; world: World }): void {
  if (!world.isForkPullRequest()) return;
  if (world.pathKind(handoverPath(world.runnerTemp, name)) === 'file') return;
  throw new InputError(
    'INPUT_FORBIDDEN',
    `input \`${input}\`: a pull request from a fork cannot use the builder \`${name}\`, which others share`,
    { hint: `Leave \`${input}\` out for forks: then the job gets a builder of its own.` },
  );
}
