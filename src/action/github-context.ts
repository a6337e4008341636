import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

/** Facts about the run; what the runner did not tell is empty. */
export interface GitHubContext {
  /** `owner/name`. */
  readonly repository: string;
  readonly sha: string;
  /** Such as `refs/heads/main`. */
  readonly ref: string;
  readonly runId: string;
  readonly runAttempt: string;
  /** Page of this attempt. */
  readonly runUrl: string;
  /** Such as `https://github.com`. */
  readonly serverUrl: string;
  /** Absolute folder of the checkout. */
  readonly workspace: string;
  /** Absolute folder that is emptied after the job. */
  readonly runnerTemp: string;
}

/** Reads the variables that the runner sets. */
export function readGitHubContext(
  env: Readonly<Record<string, string | undefined>> = process.env,
  cwd = process.cwd(),
): GitHubContext {
  const read = (name: string, fallback = ''): string => {
    const value = env[name] ?? '';
    return value === '' ? fallback : value;
  };
  const repository = read('GITHUB_REPOSITORY');
  const serverUrl = read('GITHUB_SERVER_URL', 'https://github.com').replace(/\/+$/, '');
  const runId = read('GITHUB_RUN_ID');
  const runAttempt = read('GITHUB_RUN_ATTEMPT', '1');
  const isRun = repository !== '' && runId !== '';
  return {
    repository,
    sha: read('GITHUB_SHA'),
    ref: read('GITHUB_REF'),
    runId,
    runAttempt,
    runUrl: isRun ? `${serverUrl}/${repository}/actions/runs/${runId}/attempts/${runAttempt}` : '',
    serverUrl,
    workspace: resolve(cwd, read('GITHUB_WORKSPACE')),
    runnerTemp: resolve(cwd, read('RUNNER_TEMP', tmpdir())),
  };
}

/** What the peers build by default, such as `https://github.com/acme/app.git#<sha>`. */
export function gitContextOf({
  serverUrl,
  repository,
  sha,
  ref,
}: GitHubContext): string | undefined {
  if (repository === '') return undefined;
  const pin = sha === '' ? ref : sha;
  return `${serverUrl}/${repository}.git${pin === '' ? '' : `#${pin}`}`;
}

/**
 * Whether the run is for a pull request whose code comes from another repository.
 *
 * Reads the payload of the event; where that of a pull request cannot be read, it is taken for one.
 */
export function isForkPullRequest(
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  if (!(env.GITHUB_EVENT_NAME ?? '').startsWith('pull_request')) return false;
  const pullRequest = readPullRequest(env.GITHUB_EVENT_PATH ?? '');
  if (pullRequest === undefined) return true;
  // A fork that was deleted since then is null.
  const head = pullRequest.head?.repo?.full_name;
  return head === undefined || head !== pullRequest.base?.repo?.full_name;
}

/** What is read of the payload; nothing of it is sure to be there. */
interface PullRequest {
  readonly head?: { readonly repo?: { readonly full_name?: string } | null } | null;
  readonly base?: { readonly repo?: { readonly full_name?: string } | null } | null;
}

function readPullRequest(path: string): PullRequest | undefined {
  try {
    const payload = JSON.parse(readFileSync(path, 'utf8')) as { pull_request?: PullRequest };
    return payload.pull_request;
  } catch {
    return undefined;
  }
}
