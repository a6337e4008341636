/** What the setup step leaves for the steps that name its builder: `<runner temp>/kube-buildx/<name>.json`. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { ActionError } from './action/errors.ts';
import { handoverPath } from './options/builder-name.ts';
import { nodeForPlatforms } from './options/builder-node.ts';
import type { ActionOptions, BuilderOptions, Platform, RemoteEndpoint } from './options/options.ts';

/** How a later step reaches one node of a builder. */
export interface BuilderNode {
  /** As the input has it: path, YAML text or base64. */
  readonly kubeconfig: string | undefined;
  readonly kubeContext: string | undefined;
  /** Unset: that of the context. */
  readonly namespace: string | undefined;
  readonly platforms: readonly Platform[];
  readonly remote: RemoteEndpoint | undefined;
}

export interface BuilderFile {
  readonly name: string;
  readonly nodes: readonly BuilderNode[];
}

/** Writes the file for its owner alone, since a kubeconfig has credentials. */
export function writeBuilderFile(runnerTemp: string, file: BuilderFile): void {
  const path = handoverPath(runnerTemp, file.name);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  writeFileSync(path, JSON.stringify(file), { mode: 0o600, flag: 'wx' });
}

/** Undefined where no setup step of this job made a builder of that name. */
export function readBuilderFile(runnerTemp: string, name: string): BuilderFile | undefined {
  const path = handoverPath(runnerTemp, name);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    return JSON.parse(text) as BuilderFile;
  } catch (cause) {
    throw new ActionError('STATE_INVALID', `${path} is not what a setup step wrote`, { cause });
  }
}

/** Removes the file, if it is there. */
export function removeBuilderFile(runnerTemp: string, name: string): void {
  rmSync(handoverPath(runnerTemp, name), { force: true });
}

/** The node in the words of the file. */
export function toNode({
  kubeconfig,
  kubeContext,
  platforms,
  remote,
  driver,
}: BuilderOptions): BuilderNode {
  return { kubeconfig, kubeContext, platforms, remote, namespace: driver.namespace };
}

/**
 * The node of a builder that a setup step made, for the build's platforms; the options as they are
 * where no setup step of this job did.
 *
 * The way to it is that of the setup step, whatever the step itself says of a cluster.
 */
export function nodeOfBuilderFile(
  runnerTemp: string,
  { builder, build }: Pick<ActionOptions, 'build' | 'builder'>,
): BuilderOptions {
  const file = readBuilderFile(runnerTemp, builder.name ?? '');
  const [first, ...append] = (file?.nodes ?? []).map((node) => withNode(builder, node));
  return first === undefined ? builder : nodeForPlatforms({ builder: first, append, build });
}

function withNode(options: BuilderOptions, node: BuilderNode): BuilderOptions {
  const { namespace, ...way } = node;
  return { ...options, ...way, driver: { ...options.driver, namespace } };
}
