import { readFileSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Platform } from '../options/options.ts';
import type { PathKind, World } from '../options/world.ts';
import { gitContextOf, type GitHubContext, isForkPullRequest } from './github-context.ts';

/** Gathers what parsing needs to know beside the inputs. */
export function readWorld(
  github: GitHubContext,
  { env, cwd }: { env: Readonly<Record<string, string | undefined>>; cwd: string } = {
    env: process.env,
    cwd: process.cwd(),
  },
): World {
  return {
    cwd,
    workspace: github.workspace,
    runnerPlatform: runnerPlatform(process.arch),
    env,
    gitContext: gitContextOf(github),
    runnerTemp: github.runnerTemp,
    pathKind,
    readText,
    isForkPullRequest: () => isForkPullRequest(env),
  };
}

/** The runner's architecture as a platform of a builder, which is Linux on any runner. */
export function runnerPlatform(nodeArchitecture: string): Platform {
  const [architecture, variant] = goArchitectures.get(nodeArchitecture) ?? [nodeArchitecture, ''];
  return { os: 'linux', architecture, variant };
}

const goArchitectures: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['x64', ['amd64', '']],
  ['ia32', ['386', '']],
  ['arm', ['arm', 'v7']],
  ['ppc64', [endianness() === 'LE' ? 'ppc64le' : 'ppc64', '']],
  ['mipsel', ['mipsle', '']],
]);

/** What stands at a path; links are followed. */
export function pathKind(path: string): PathKind {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return 'missing';
    if (stats.isFile()) return 'file';
    return stats.isDirectory() ? 'directory' : 'other';
  } catch {
    return 'unreadable';
  }
}

/** The text of a file; undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
