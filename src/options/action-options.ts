/**
 * Inputs and facts come in, the options of the whole action go out.
 *
 * The input modes are those of docker/actions-toolkit, the meaning that of docker/buildx; what this
 * version cannot do is listed in `not-supported-yet.ts`.
 */
import { parseBuildOptions } from './build-options.ts';
import { covers } from './builder-node.ts';
import { type BuilderNodes, parseBuilderNodes, secretsOfNodes } from './builder-options.ts';
import { InputError, notSupportedYet } from './errors.ts';
import { InputReader } from './input-reader.ts';
import { describeLegacyInputs } from './legacy-inputs.ts';
import { refuseWhatIsNotSupportedYet } from './not-supported-yet.ts';
import type { ActionOptions, BuilderOptions, Platform } from './options.ts';
import { Problems } from './problems.ts';
import { parseRegistryAuth, secretsOfRegistryAuth } from './registry-auth.ts';
import { secretsOfRegistryConfig } from './registry-config.ts';
import { parseWholeNumber } from './whole-number.ts';
import type { RawInputs, World } from './world.ts';

const mostRetries = 100;

/**
 * Turns inputs into options; pure.
 *
 * Throws one `InputError` that holds every problem found.
 */
export function parseActionOptions(raw: RawInputs, world: World): ActionOptions {
  const problems = new Problems();
  const reader = new InputReader(raw, problems);
  refuseWhatIsNotSupportedYet(reader, world.env);
  const { build, contextReason, warnings } = parseBuildOptions(reader, world);
  const nodes = parseBuilderNodes(reader, {
    world,
    platforms: [],
    entitlements: build.entitlements,
  });
  refuseLoading(reader, { build, builder: nodes.builder });
  const registryAuth = parseRegistryAuth(reader);
  const render = readRender(reader, nodes);
  const retries = parseWholeNumber(reader, { input: 'retries', fallback: 2, most: mostRetries });
  problems.throwIfAny();
  return {
    builder: withPlatforms(nodes, build.platforms),
    append: nodes.append,
    render,
    retries,
    build,
    registryAuth,
    contextReason,
    notices: describeLegacyInputs(reader),
    // Nothing is built then.
    warnings: [...(render ? [] : warnings), ...problems.warnings],
    secrets: [
      ...secretsOfRegistryAuth(registryAuth),
      ...secretsOfRegistryConfig(nodes.builder.registryConfig),
      ...secretsOfNodes(nodes),
    ],
  };
}

function readRender(reader: InputReader, { builder }: BuilderNodes): boolean {
  const render = reader.boolean('render') === true;
  if (render && builder.mustExist) {
    reader.problems.add(
      new InputError(
        'INPUT_CONTRADICTION',
        'inputs `render` and `builder` are both set: nothing is created for a builder that must exist',
        { hint: 'Set `name` in place of `builder`.' },
      ),
    );
  }
  return render;
}

/** The first node is for what the build asks for and no further node runs. */
function withPlatforms(
  { builder, append }: BuilderNodes,
  wanted: readonly Platform[],
): BuilderOptions {
  const declared = append.flatMap(({ platforms }) => platforms);
  const platforms = wanted.filter((each) => !declared.some((other) => covers(other, each)));
  return { ...builder, platforms };
}

/** Loading is what `default-load` makes of a build that asks for no output. */
function refuseLoading(
  reader: InputReader,
  { build, builder }: Pick<ActionOptions, 'build' | 'builder'>,
): void {
  const isWanted = builder.driver.defaultLoad && build.exporters.length === 0;
  if (!isWanted || reader.optional('outputs') !== undefined) return;
  const hint = 'Set `push` or `outputs`.';
  reader.problems.add(
    notSupportedYet('driver option `default-load` of a build without output', hint),
  );
}
