/**
 * Inputs and facts come in, the options of the whole action go out.
 *
 * The input modes are those of docker/actions-toolkit, the meaning that of docker/buildx; what this
 * version cannot do is listed in `not-supported-yet.ts`.
 */
import { parseBuildOptions } from './build-options.ts';
import { parseBuilderOptions } from './builder-options.ts';
import { InputReader } from './input-reader.ts';
import { refuseWhatIsNotSupportedYet } from './not-supported-yet.ts';
import type { ActionOptions } from './options.ts';
import { Problems } from './problems.ts';
import { parseRegistryAuth, secretsOfRegistryAuth } from './registry-auth.ts';
import { secretsOfRegistryConfig } from './registry-config.ts';
import type { RawInputs, World } from './world.ts';

/** Inputs of the peers that are about the buildx binary. */
const withoutMeaning = ['cache-binary', 'install', 'use', 'version'];
const aliases = new Map([
  ['config', 'buildkitd-config'],
  ['config-inline', 'buildkitd-config-inline'],
]);

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
  const { platforms, entitlements } = build;
  const builder = parseBuilderOptions(reader, { world, platforms, entitlements });
  const registryAuth = parseRegistryAuth(reader);
  problems.throwIfAny();
  return {
    builder,
    append: [],
    render: false,
    retries: 0,
    build,
    registryAuth,
    contextReason,
    notices: describeLegacyInputs(reader),
    warnings: [...warnings, ...problems.warnings],
    secrets: [
      ...secretsOfRegistryAuth(registryAuth),
      ...secretsOfRegistryConfig(builder.registryConfig),
    ],
  };
}

function describeLegacyInputs(reader: InputReader): string[] {
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
