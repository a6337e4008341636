/** The inputs of the `setup` action: a builder, and nothing to build. */
import { parseBuilderNodes, secretsOfNodes } from './builder-options.ts';
import { InputReader } from './input-reader.ts';
import { describeLegacyInputs } from './legacy-inputs.ts';
import type { ActionOptions } from './options.ts';
import { parsePlatformList } from './platform-list.ts';
import { Problems } from './problems.ts';
import { secretsOfRegistryConfig } from './registry-config.ts';
import type { RawInputs, World } from './world.ts';

/** All inputs of `setup/action.yml`; a test compares the two. */
export const setupInputNames = [
  'append',
  'buildkitd-config',
  'buildkitd-config-inline',
  'buildkitd-flags',
  'cache-binary',
  'cleanup',
  'config',
  'config-inline',
  'connection',
  'driver',
  'driver-opts',
  'endpoint',
  'install',
  'keep-state',
  'kube-context',
  'kubeconfig',
  'max-lifetime',
  'name',
  'platforms',
  'pod-template',
  'registry-config',
  'render',
  'use',
  'version',
] as const;

/** All inputs of the `setup` action, parsed. */
export type SetupOptions = Pick<
  ActionOptions,
  'append' | 'builder' | 'notices' | 'render' | 'secrets' | 'warnings'
>;

/**
 * Turns inputs into options; pure. `platforms` are those of the first node, not of a build.
 *
 * Throws one `InputError` that holds every problem found.
 */
export function parseSetupOptions(raw: RawInputs, world: World): SetupOptions {
  const problems = new Problems();
  const own = Object.fromEntries(setupInputNames.map((name) => [name, raw[name] ?? '']));
  const reader = new InputReader(own, problems);
  const platforms = parsePlatformList(reader.commaList('platforms'), {
    input: 'platforms',
    runner: world.runnerPlatform,
    problems,
  });
  const nodes = parseBuilderNodes(reader, { world, platforms, entitlements: [] });
  const render = reader.boolean('render') === true;
  problems.throwIfAny();
  return {
    ...nodes,
    render,
    notices: describeLegacyInputs(reader),
    warnings: problems.warnings,
    secrets: [...secretsOfRegistryConfig(nodes.builder.registryConfig), ...secretsOfNodes(nodes)],
  };
}
