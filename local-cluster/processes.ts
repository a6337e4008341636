/** The cluster's daemons: started in the background, found again later, told apart from strangers. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ClusterError, retry } from './command.ts';
import { statePath } from './layout.ts';

/** What to start. */
export interface DaemonOptions {
  name: string;
  command: string;
  args: readonly string[];
  /** File of the network namespace to run in. */
  namespace?: string | undefined;
  env?: NodeJS.ProcessEnv;
}

/** Starts a daemon that outlives us, logging to the state folder; a record lets later runs find it. */
export function startDaemon(options: DaemonOptions): void {
  mkdirSync(statePath('log'), { recursive: true });
  mkdirSync(statePath('run'), { recursive: true });
  const log = openSync(logPath(options.name), 'w');
  // nsenter instead of `ip netns exec`: the latter mounts /sys anew and so hides the cgroups.
  const argv = options.namespace === undefined ? [] : ['nsenter', `--net=${options.namespace}`];
  const [command = '', ...args] = [...argv, options.command, ...options.args];
  const child = spawn(command, args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
  });
  closeSync(log);
  child.once('error', (error) => {
    writeFileSync(logPath(options.name), `${error.message}\n`);
  });
  child.unref();
  const pid = child.pid ?? 0;
  writeFileSync(recordPath(options.name), JSON.stringify({ pid, started: startTime(pid) ?? '' }));
}

/** The process id of a daemon, or undefined when it is not running. */
export function daemonPid(name: string): number | undefined {
  if (!existsSync(recordPath(name))) return undefined;
  const record = JSON.parse(readFileSync(recordPath(name), 'utf8')) as {
    pid: number;
    started: string;
  };
  // The start time guards against a stranger that was given the same process id later.
  return startTime(record.pid) === record.started ? record.pid : undefined;
}

/**
 * Waits until something the daemon provides is there.
 *
 * Fails at once when the daemon dies and after the time-out, with the last lines of its log.
 */
export async function waitForDaemon<T>(
  name: string,
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = 60_000,
): Promise<T> {
  const value = await retry(async () => {
    if (daemonPid(name) === undefined) throw startFailure(name, `${name} stopped`);
    return probe();
  }, timeoutMs);
  if (value !== undefined) return value;
  throw startFailure(name, `${what} did not come up in ${timeoutMs / 1000} s`);
}

function startFailure(name: string, what: string): ClusterError {
  const log = readFileSync(logPath(name), 'utf8').trimEnd().split('\n').slice(-8).join('\n  ');
  return new ClusterError(`${what}; the end of ${logPath(name)}:\n  ${log}`);
}

function logPath(name: string): string {
  return statePath('log', `${name}.log`);
}

function recordPath(name: string): string {
  return statePath('run', `${name}.json`);
}

/** When a process started, in clock ticks since boot; undefined when it is gone or a zombie. */
function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(join('/proc', String(pid), 'stat'), 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold blanks: count after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
