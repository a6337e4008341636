import { resolve } from 'node:path';
import { parseAppend } from './append.ts';
import { parseBuilderName } from './builder-name.ts';
import { parseBuildkitdFlags } from './buildkitd-flags.ts';
import {
  driverOptionEntries,
  type GivenDriverOptions,
  gatherDriverOptions,
} from './driver-option-entries.ts';
import { parseDriverOptions } from './driver-options.ts';
import { InputError, invalidInput } from './errors.ts';
import { durationForm, parseGoDuration } from './go-duration.ts';
import type { InputReader } from './input-reader.ts';
import { readAliased } from './legacy-inputs.ts';
import { didYouMean } from './nearest-name.ts';
import type { BuilderOptions, ConnectionKind, Platform } from './options.ts';
import { parsePodTemplate } from './pod-template.ts';
import { parseRegistryConfig } from './registry-config.ts';
import { onlyForPods, parseRemoteNode } from './remote-endpoint.ts';
import { parseWholeNumber } from './whole-number.ts';
import type { World } from './world.ts';

/** `activeDeadlineSeconds` of a Job ends here. */
const longestLifetimeMs = (2 ** 31 - 1) * 1000;
/** Timers of Node cannot wait longer. */
const longestWaitMs = 2 ** 31 - 1;
const mostBuildsPerPod = 10_000;
const connectionKinds: readonly ConnectionKind[] = ['auto', 'exec', 'port-forward', 'direct'];

/** What beside the inputs decides about a builder. */
export interface BuilderFacts {
  readonly world: World;
  /** Those of the first node. */
  readonly platforms: readonly Platform[];
  /** Those that the build asks for. */
  readonly entitlements: readonly string[];
}

/** The nodes of one builder. */
export interface BuilderNodes {
  readonly builder: BuilderOptions;
  readonly append: readonly BuilderOptions[];
}

/** Everything that shapes the builder, and each of its nodes. */
export function parseBuilderNodes(reader: InputReader, facts: BuilderFacts): BuilderNodes {
  const { options, given } = parseFirstNode(reader, facts);
  const { world, entitlements } = facts;
  return {
    builder: options,
    append: parseAppend(reader, { world, entitlements, first: { options, given } }),
  };
}

/** The private keys that the inputs of a builder hold as text. */
export function secretsOfNodes({ builder, append }: BuilderNodes): string[] {
  return [builder, ...append].flatMap(({ remote }) =>
    remote?.tls?.key === undefined ? [] : [remote.tls.key],
  );
}

function parseFirstNode(
  reader: InputReader,
  { world, platforms, entitlements }: BuilderFacts,
): { readonly options: BuilderOptions; readonly given: GivenDriverOptions } {
  const { problems } = reader;
  const { flags, entitlements: allowed } = readFlags(reader);
  const endpoint = readEndpoint(reader);
  const entries = driverOptionEntries(reader);
  const given = endpoint === undefined ? gatherDriverOptions(entries, problems) : new Map();
  const node =
    endpoint === undefined
      ? { remote: undefined, driver: parseDriverOptions(given, problems) }
      : parseRemoteNode({ endpoint, entries, index: 0, world, problems });
  if (endpoint !== undefined) refuseWhatShapesPods(reader);
  const options: BuilderOptions = {
    ...parseBuilderName(reader, world),
    ...parseLife(reader, node.driver),
    ...node,
    affinityKey: reader.optional('affinity-key'),
    maxBuildsPerPod: parseWholeNumber(reader, {
      input: 'max-builds-per-pod',
      fallback: 0,
      most: mostBuildsPerPod,
    }),
    queueTimeoutMs: problems.guard(0, () => parseQueueTimeout(reader.string('queue-timeout'))),
    buildkitdFlags: flags,
    podTemplate: problems.guard(undefined, () => {
      const template = reader.optional('pod-template');
      return template === undefined ? undefined : parsePodTemplate(template, world);
    }),
    kubeconfig: reader.optional('kubeconfig'),
    kubeContext: reader.optional('kube-context'),
    connection: problems.guard('auto', () => parseConnection(reader.string('connection'))),
    platforms,
    runnerPlatform: world.runnerPlatform,
    ...problems.guard({ buildkitdConfig: undefined, buildkitdConfigInline: undefined }, () =>
      parseBuildkitdConfig(reader, world),
    ),
    registryConfig: parseRegistryConfig(reader, world),
    entitlements: [...new Set([...entitlements, ...allowed])],
    maxLifetimeMs: problems.guard(0, () => parseMaxLifetime(reader.string('max-lifetime'))),
  };
  return { options, given };
}

function readFlags(reader: InputReader) {
  return reader.problems.guard({ flags: [], entitlements: [] }, () =>
    parseBuildkitdFlags(reader.string('buildkitd-flags')),
  );
}

/** The endpoint of a remote daemon; undefined for pods. */
function readEndpoint(reader: InputReader): string | undefined {
  return reader.problems.guard(undefined, () => {
    const driver = reader.string('driver');
    const endpoint = reader.optional('endpoint');
    if (!['', 'kubernetes', 'remote'].includes(driver)) {
      throw invalidInput({
        input: 'driver',
        value: driver,
        problem: 'is not a driver of this action',
        expected: 'kubernetes or remote',
      });
    }
    if (driver === 'remote' && endpoint === undefined) {
      throw new InputError('INPUT_CONTRADICTION', 'input `driver`: `remote` has no `endpoint`', {
        hint: 'Set `endpoint` to tcp://host:port or unix:///path.',
      });
    }
    if (driver !== 'remote' && endpoint !== undefined) {
      throw new InputError(
        'INPUT_CONTRADICTION',
        'input `endpoint` is set, and `driver` is not `remote`',
        { hint: 'Set `driver: remote` for a daemon that exists, or remove `endpoint`.' },
      );
    }
    return endpoint;
  });
}

const inputsOfPods = [
  'affinity-key',
  'buildkitd-config',
  'buildkitd-config-inline',
  'buildkitd-flags',
  'config',
  'config-inline',
  'kube-context',
  'kubeconfig',
  'pod-template',
];

function refuseWhatShapesPods(reader: InputReader): void {
  const given = inputsOfPods.filter((name) => reader.optional(name) !== undefined);
  if (!['', 'auto'].includes(reader.string('connection'))) given.push('connection');
  if (!['', '0'].includes(reader.string('max-builds-per-pod'))) given.push('max-builds-per-pod');
  for (const name of ['keep-state', 'render']) {
    if (/^true$/i.test(reader.string(name))) given.push(name);
  }
  for (const name of given) reader.problems.add(onlyForPods(`input \`${name}\``));
}

/** What becomes of the builder afterwards. */
function parseLife(
  reader: InputReader,
  { stateVolume }: BuilderOptions['driver'],
): Pick<BuilderOptions, 'cleanup' | 'keepState'> {
  const cleanup = reader.boolean('cleanup') !== false;
  const keepState = reader.boolean('keep-state') === true;
  const isNamed = ['name', 'builder'].some((name) => reader.optional(name) !== undefined);
  if (keepState && !isNamed) {
    reader.problems.add(
      new InputError('INPUT_CONTRADICTION', 'input `keep-state` is set, and `name` is not', {
        hint: 'Set `name`: a builder of one job alone is never found again.',
      }),
    );
  } else if (keepState && !cleanup) {
    reader.problems.warn(
      'Input `keep-state` is of no effect beside `cleanup: false`: the builder goes on running.',
    );
  } else if (keepState && stateVolume.kind !== 'claim') {
    reader.problems.warn(
      'Input `keep-state` keeps no cache without the driver option `persistent-volume-claim.requests.storage`.',
    );
  }
  return { cleanup, keepState };
}

function parseConnection(value: string): ConnectionKind {
  if (value === '') return 'auto';
  const kind = connectionKinds.find((each) => each === value);
  if (kind !== undefined) return kind;
  throw invalidInput({
    input: 'connection',
    value,
    problem: 'is not a way to connect',
    expected: 'auto, exec, port-forward or direct',
    hint: didYouMean(value, connectionKinds),
  });
}

/** The two inputs under their names and the ones they had before setup-buildx-action v4. */
function parseBuildkitdConfig(
  reader: InputReader,
  world: World,
): Pick<BuilderOptions, 'buildkitdConfig' | 'buildkitdConfigInline'> {
  const path = readAliased(reader, 'buildkitd-config');
  const inline = readAliased(reader, 'buildkitd-config-inline');
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

function parseQueueTimeout(value: string): number {
  const timeoutMs = parseGoDuration(value === '' ? '30m' : value);
  if (timeoutMs !== undefined && timeoutMs <= longestWaitMs) return timeoutMs;
  throw invalidInput({
    input: 'queue-timeout',
    value,
    problem: timeoutMs === undefined ? 'is not a duration' : 'is longer than 596h',
    expected: durationForm,
  });
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
