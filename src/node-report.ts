/** What the setup step reports of a builder's nodes, in the words of docker/setup-buildx-action. */
import { setOutputs } from './action/outputs.ts';
import type { BuilderOptions } from './options/options.ts';
import { entitlementFlags } from './kubernetes/builder-spec.ts';
import { platformText } from './kubernetes/names.ts';
import type { BuildkitConnection } from './buildkit/connection.ts';
import type { Logger } from './shared/logger.ts';
import type { ConnectedBuilder } from './with-builder.ts';

/** One node, once its daemon has answered. */
export interface NodeReport {
  readonly driver: string;
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

/** Asks the daemon what it can do where that was not asked for, and tells it then. */
export async function reportNode(
  options: BuilderOptions,
  { builder, connection }: ConnectedBuilder,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<NodeReport> {
  const isAsked = options.platforms.length > 0;
  const platforms = isAsked
    ? options.platforms.map(platformText)
    : await workerPlatforms(connection, signal);
  if (!isAsked) logger.info(`Platforms of ${builder.nodeName}: ${platforms.join(', ')}`);
  return {
    driver: builder.driver,
    name: builder.nodeName,
    endpoint: builder.endpoint,
    status: 'running',
    'buildkitd-flags': [...options.buildkitdFlags, ...entitlementFlags(options)].join(' '),
    buildkit: connection.version,
    platforms: platforms.join(','),
  };
}

/** Sets the outputs about all nodes; single values are those of the first one. */
export function setNodeOutputs(nodes: readonly NodeReport[]): void {
  const [first] = nodes;
  const platforms = new Set(nodes.flatMap((node) => node.platforms.split(',')));
  setOutputs({
    driver: first?.driver,
    platforms: [...platforms].join(','),
    nodes: JSON.stringify(nodes, undefined, 2),
    endpoint: first?.endpoint,
    status: first?.status,
    flags: first?.['buildkitd-flags'],
  });
}

/** What the workers of a daemon can build, such as `linux/arm/v7`. */
async function workerPlatforms(
  connection: BuildkitConnection,
  signal: AbortSignal,
): Promise<string[]> {
  const { record } = await connection.listWorkers(signal);
  const platforms = record.flatMap((worker) => worker.platforms);
  const names = platforms.map(({ OS, Architecture, Variant }) =>
    [OS, Architecture, Variant].filter((part) => part !== '').join('/'),
  );
  return [...new Set(names)];
}
