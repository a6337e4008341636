import { resolve } from 'node:path';
import { parseDriverOptions, readDriverOptions } from './driver-options.ts';
import { InputError, invalidInput, notSupportedYet } from './errors.ts';
import { durationForm, parseGoDuration } from './go-duration.ts';
import type { InputReader } from './input-reader.ts';
import type { BuilderOptions, Platform } from './options.ts';
import { parseRegistryConfig } from './registry-config.ts';
import type { World } from './world.ts';

/** `activeDeadlineSeconds` of a Job ends here. */
const longestLifetimeMs = (2 ** 31 - 1) * 1000;

/** Everything that shapes the builder; `platforms` and `entitlements` follow from the build. */
export function parseBuilderOptions(
  reader: InputReader,
  {
    world,
    platforms,
    entitlements,
  }: {
    readonly world: World;
    readonly platforms: readonly Platform[];
    readonly entitlements: readonly string[];
  },
): BuilderOptions {
  const { problems } = reader;
  problems.guard(undefined, () => {
    checkDriver(reader.string('driver'));
  });
  return {
    name: undefined,
    mustExist: false,
    cleanup: true,
    keepState: false,
    remote: undefined,
    affinityKey: undefined,
    maxBuildsPerPod: 0,
    queueTimeoutMs: 30 * 60_000,
    buildkitdFlags: [],
    podTemplate: undefined,
    kubeconfig: reader.optional('kubeconfig'),
    kubeContext: reader.optional('kube-context'),
    connection: problems.guard('auto', () => parseConnection(reader.string('connection'))),
    driver: parseDriverOptions(readDriverOptions(reader), problems),
    platforms,
    runnerPlatform: world.runnerPlatform,
    ...problems.guard({ buildkitdConfig: undefined, buildkitdConfigInline: undefined }, () =>
      parseBuildkitdConfig(reader, world),
    ),
    registryConfig: parseRegistryConfig(reader, world),
    entitlements,
    maxLifetimeMs: problems.guard(0, () => parseMaxLifetime(reader.string('max-lifetime'))),
  };
}

function checkDriver(value: string): void {
  if (value === '' || value === 'kubernetes') return;
  if (value === 'remote') throw notSupportedYet('input `driver`: `remote`');
  throw invalidInput({
    input: 'driver',
    value,
    problem: 'is not a driver of this action',
    expected: 'kubernetes or remote',
  });
}

function parseConnection(value: string): 'auto' | 'exec' {
  if (value === '' || value === 'auto') return 'auto';
  if (value === 'exec') return value;
  if (value === 'direct' || value === 'port-forward') {
    throw notSupportedYet(`input \`connection\`: \`${value}\``, 'Use `exec` or `auto`.');
  }
  throw invalidInput({
    input: 'connection',
    value,
    problem: 'is not a way to connect',
    expected: 'auto, exec, port-forward or direct',
  });
}

/** The two inputs under their names and the ones they had before setup-buildx-action v4. */
function parseBuildkitdConfig(
  reader: InputReader,
  world: World,
): Pick<BuilderOptions, 'buildkitdConfig' | 'buildkitdConfigInline'> {
  const path = aliased(reader, 'buildkitd-config', 'config');
  const inline = aliased(reader, 'buildkitd-config-inline', 'config-inline');
  if (path !== undefined && inline !== undefined) {
    throw new InputError(
      'INPUT_CONTRADICTION',
      'inputs `buildkitd-config` and `buildkitd-config-inline` are both set',
      { hint: 'Keep one of the two.' },
    );
  }
  if (path === undefined) return { buildkitdConfig: undefined, buildkitdConfigInline: inline };
  const buildkitdConfig = resolve(world.cwd, path);
  if (world.pathKind(buildkitdConfig) !== 'file') {
    throw invalidInput({
      input: 'buildkitd-config',
      value: path,
      problem: `is not a file: looked at ${buildkitdConfig}`,
      expected: 'the path of a buildkitd.toml',
      hint: 'Give the configuration itself in `buildkitd-config-inline`.',
    });
  }
  return { buildkitdConfig, buildkitdConfigInline: undefined };
}

function aliased(reader: InputReader, name: string, alias: string): string | undefined {
  const value = reader.optional(name);
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

function parseMaxLifetime(value: string): number {
  const lifetimeMs = parseGoDuration(value === '' ? '6h' : value);
  if (lifetimeMs !== undefined && lifetimeMs >= 1000 && lifetimeMs <= longestLifetimeMs) {
    return lifetimeMs;
  }
  throw invalidInput({
    input: 'max-lifetime',
    value,
    problem: 'is not a lifetime',
    expected: `${durationForm}, at least 1s`,
  });
}
