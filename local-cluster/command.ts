/** Running other programs and telling the person at the terminal what is going on. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** A failure whose message says everything: printed without a stack. */
export class ClusterError extends Error {
  readonly exitCode: number = 1;
}

/** The machine cannot run the cluster at all; callers tell it apart by the exit code. */
export class CannotRunHere extends ClusterError {
  override readonly exitCode: number = 3;
}

/** Options of {@link run}. */
export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Fed to the program's standard input, which is empty otherwise. */
  input?: string | AsyncIterable<Buffer>;
}

/** Prints one line of progress; on standard error, as standard output belongs to `env`. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a program to its end and returns what it printed on standard output.
 *
 * Rejects with the program's own words when it exits with anything but 0.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that stops reading early says why on its own; EPIPE here would only hide that.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(code ?? signal ?? 'unknown');
    });
  });
  const [status] = await Promise.all([ended, feed(child.stdin, options.input)]);
  if (status === 0) return Buffer.concat(stdout).toString();
  const words = Buffer.concat(stderr.length > 0 ? stderr : stdout)
    .toString()
    .trim();
  throw new ClusterError(`${command} ${args.join(' ')} failed (${status}): ${words}`);
}

async function feed(stdin: NodeJS.WritableStream, input: RunOptions['input']): Promise<void> {
  if (typeof input === 'object') {
    for await (const chunk of input) {
      if (!stdin.writable) return;
      if (!stdin.write(chunk)) await drained(stdin);
    }
    stdin.end();
  } else {
    stdin.end(input ?? '');
  }
}

function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

/** Runs a program for its effect only and tells whether it succeeded. */
export async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}

/** Tries again and again, a moment apart, until the attempt returns a value; undefined when time is up. */
export async function retry<T>(
  attempt: () => Promise<T | undefined> | T | undefined,
  timeoutMs: number,
): Promise<T | undefined> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (performance.now() > end) return undefined;
    await sleep(100);
  }
}

/** Seconds since a moment of `performance.now()`, for people. */
export function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
