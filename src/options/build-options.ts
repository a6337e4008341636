import { findBuildContext, type BuildContext } from './build-context.ts';
import { parseAddHost, parseNetwork, parseShmSize, parseUlimit } from './container-settings.ts';
import { InputError, invalidInput } from './errors.ts';
import { parseExporters } from './exporters.ts';
import { durationForm, parseGoDuration } from './go-duration.ts';
import type { InputReader } from './input-reader.ts';
import { parseBuildArgs, parseLabels } from './key-values.ts';
import type { BuildOptions, Platform } from './options.ts';
import { parsePlatformList } from './platform-list.ts';
import type { World } from './world.ts';

/** Timers of Node cannot wait longer. */
const longestTimeoutMs = 2 ** 31 - 1;

/** One build, and what the user should know about it. */
export interface ParsedBuild {
  readonly build: BuildOptions;
  readonly contextReason: string;
  readonly warnings: readonly string[];
}

/** Parses the inputs that shape the build itself. */
export function parseBuildOptions(reader: InputReader, world: World): ParsedBuild {
  const { problems } = reader;
  const place = { context: reader.string('context'), file: reader.string('file') };
  const context: BuildContext = findBuildContext(place, { world, problems });
  const { exporters, warnings } = parseExporters(reader);
  const network = problems.guard('default', () => parseNetwork(reader.string('network')));
  const build: BuildOptions = {
    contextPath: context.contextPath,
    dockerfilePath: context.dockerfilePath,
    target: reader.optional('target'),
    buildArgs: parseBuildArgs(reader, world.env),
    labels: parseLabels(reader),
    platforms: parsePlatforms(reader, world),
    exporters,
    ...parseNoCache(reader),
    pull: reader.boolean('pull') === true,
    network,
    addHosts: problems.guardEach(reader.commaList('add-hosts'), parseAddHost),
    shmSizeBytes: problems.guard(undefined, () => {
      const size = reader.optional('shm-size');
      return size === undefined ? undefined : parseShmSize(size);
    }),
    ulimits: parseUlimits(reader),
    cgroupParent: reader.optional('cgroup-parent'),
    entitlements: network === 'host' ? ['network.host'] : [],
    timeoutMs: problems.guard(undefined, () => parseTimeout(reader.optional('timeout'))),
  };
  return { build, contextReason: context.reason, warnings };
}

/** `platforms`, else `DOCKER_DEFAULT_PLATFORM` as for buildx. */
function parsePlatforms(reader: InputReader, world: World): Platform[] {
  const { problems } = reader;
  const given = reader.commaList('platforms');
  const inherited = (world.env.DOCKER_DEFAULT_PLATFORM ?? '').trim();
  const isInherited = given.length === 0 && inherited !== '';
  const source = isInherited ? 'DOCKER_DEFAULT_PLATFORM' : 'platforms';
  const { runnerPlatform: runner } = world;
  return parsePlatformList(isInherited ? [inherited] : given, { input: source, runner, problems });
}

function parseNoCache(reader: InputReader): Pick<BuildOptions, 'noCache' | 'noCacheFilters'> {
  const noCache = reader.boolean('no-cache') === true;
  const noCacheFilters = reader.commaList('no-cache-filters');
  if (noCache && noCacheFilters.length > 0) {
    reader.problems.add(
      new InputError(
        'INPUT_CONTRADICTION',
        'inputs `no-cache` and `no-cache-filters` are both set',
        { hint: 'Keep `no-cache` for all stages or `no-cache-filters` for some.' },
      ),
    );
  }
  return { noCache, noCacheFilters };
}

/** Sorted by name; of equal names the last counts. */
function parseUlimits(reader: InputReader): string[] {
  const limits = new Map(reader.problems.guardEach(reader.lineList('ulimit'), parseUlimit));
  return [...limits].map(([name, softHard]) => `${name}=${softHard}`).sort();
}

function parseTimeout(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const timeoutMs = parseGoDuration(value);
  if (timeoutMs !== undefined && timeoutMs <= longestTimeoutMs) return timeoutMs;
  throw invalidInput({
    input: 'timeout',
    value,
    problem: timeoutMs === undefined ? 'is not a duration' : 'is longer than 596h',
    expected: durationForm,
  });
}
