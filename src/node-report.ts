/** What the setup step reports of a builder's nodes, in the words of docker/setup-buildx-action. */
import type { Outputs } from './action/outputs.ts';
import type { BuilderOptions } from './options/options.ts';
import { platformText } from './kubernetes/names.ts';
import { type ConnectedBuilder, workerPlatforms } from './with-builder.ts';

/** One node, once its daemon has answered. */
export interface NodeReport {
  readonly name: string;
  readonly endpoint: string;
  readonly status: 'running';
  /** One text. */
  readonly 'buildkitd-flags': string;
  /** Version of the daemon. */
  readonly buildkit: string;
  /** Comma-separated: those that were asked for, else all that its worker has. */
  readonly platforms: string;
}

/** Asks the daemon what it can do. */
export async function reportNode(
  options: BuilderOptions,
  { builder, connection }: ConnectedBuilder,
  signal: AbortSignal,
): Promise<NodeReport> {
  const platforms =
    options.platforms.length > 0
      ? options.platforms.map(platformText)
      : await workerPlatforms(connection, signal);
  return {
    name: builder.nodeName,
    endpoint: builder.endpoint,
    status: 'running',
    'buildkitd-flags': options.buildkitdFlags.join(' '),
    buildkit: connection.version,
    platforms: platforms.join(','),
  };
}

/** The outputs about all nodes; single values are those of the first one. */
export function describeNodes(
  nodes: readonly NodeReport[],
): Pick<Outputs, 'driver' | 'endpoint' | 'flags' | 'nodes' | 'platforms' | 'status'> {
  const [first] = nodes;
  const platforms = new Set(nodes.flatMap((node) => node.platforms.split(',')));
  return {
    driver: first?.endpoint.startsWith('kubernetes://') === true ? 'kubernetes' : 'remote',
    platforms: [...platforms].join(','),
    nodes: JSON.stringify(nodes, undefined, 2),
    endpoint: first?.endpoint,
    status: first?.status,
    flags: first?.['buildkitd-flags'],
  };
}
