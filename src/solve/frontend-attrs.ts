import path from 'node:path';

import type { BuildOptions, Platform } from '../options/options.ts';
import { isGoTrue } from '../shared/go-boolean.ts';

/** Which frontend builds, and what it is told. */
export interface Frontend {
  readonly name: 'dockerfile.v0' | 'gateway.v0';
  readonly attrs: Readonly<Record<string, string>>;
}

/** `proxies.default` of a docker config, or the entry of a daemon. */
export interface ProxySettings {
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
  readonly ftpProxy?: string | undefined;
}

type BuildArgs = Readonly<Record<string, string>>;

/**
 * Build arguments with the proxies that the docker config names, as buildx adds them: in both
 * letter cases, unless the user named that proxy in any.
 */
export function withProxyArgs(buildArgs: BuildArgs, proxies: ProxySettings): BuildArgs {
  const named = new Set(Object.keys(buildArgs).map((name) => name.toLowerCase()));
  const proxyArgs = [
    ['HTTP_PROXY', proxies.httpProxy],
    ['HTTPS_PROXY', proxies.httpsProxy],
    ['NO_PROXY', proxies.noProxy],
    ['FTP_PROXY', proxies.ftpProxy],
  ] as const;
  const added = proxyArgs
    .filter(([name, value = '']) => value !== '' && !named.has(name.toLowerCase()))
    .flatMap(([name, value = '']) => [
      [name, value],
      [name.toLowerCase(), value],
    ]);
  return { ...(Object.fromEntries(added) as BuildArgs), ...buildArgs };
}

/**
 * Frontend and attributes of a build from a local context and a local Dockerfile.
 *
 * The daemon reads the Dockerfile from the local source `dockerfile`, which is the folder of
 * `dockerfilePath`, and the context from `context`. Follows buildx `build/opt.go`.
 */
export function frontendOf(build: BuildOptions): Frontend {
  const syntax = build.buildArgs.BUILDKIT_SYNTAX;
  const attrs = {
    filename: path.basename(build.dockerfilePath),
    ...optional('target', build.target),
    ...optional('platform', build.platforms.map(formatPlatform).join(',')),
    ...multiPlatform(build.buildArgs),
    ...prefixed('build-arg:', build.buildArgs),
    ...prefixed('label:', build.labels),
    ...noCache(build),
    ...(build.pull ? { 'image-resolve-mode': 'pull' } : {}),
    ...(build.network === 'default' ? {} : { 'force-network-mode': build.network }),
    ...optional('add-hosts', build.addHosts.join(',')),
    ...optional('shm-size', build.shmSizeBytes === 0 ? undefined : build.shmSizeBytes?.toFixed()),
    ...optional('ulimit', build.ulimits.join(',')),
    ...optional('cgroup-parent', build.cgroupParent),
  };
  if (syntax === undefined) return { name: 'dockerfile.v0', attrs };
  const [source = ''] = syntax.trim().split(' ', 1);
  return { name: 'gateway.v0', attrs: { ...attrs, source, cmdline: syntax } };
}

/** `os/architecture[/variant]`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === '' ? [] : [variant])].join('/');
}

function optional(name: string, value: string | undefined): Record<string, string> {
  return value === undefined || value === '' ? {} : { [name]: value };
}

function prefixed(
  prefix: string,
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]),
  );
}

/** Empty means all stages. */
function noCache({ noCache: all, noCacheFilters }: BuildOptions): Record<string, string> {
  if (all) return { 'no-cache': '' };
  return optional('no-cache', noCacheFilters.join(','));
}

/** A Go boolean; another value is left for the frontend to complain about. */
function multiPlatform({
  BUILDKIT_MULTI_PLATFORM: wanted = '',
}: BuildArgs): Record<string, string> {
  return isGoTrue(wanted) ? { 'multi-platform': 'true' } : {};
}
