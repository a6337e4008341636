/** Locks between processes, through the kernel: they vanish with whoever held them. */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { ClusterError, say } from './command.ts';

/**
 * Does the work while holding the lock file.
 *
 * The lock is held by a child `flock` for as long as its standard input stays open, so that it is
 * gone even after this process was killed, and none of the daemons can inherit it.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A Ctrl-C at the terminal must reach us, not take the lock away before we have stopped.
    detached: true,
  });
  const ended = new Promise<void>((resolve) =>
    holder.once('close', () => {
      resolve();
    }),
  );
  const notice = setTimeout(() => {
    say('Waiting for another set-up on this machine');
  }, 300);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => {
        resolve();
      });
      holder.once('error', reject);
      holder.once('exit', () => {
        reject(new ClusterError(`Could not lock ${path}`));
      });
    });
  } finally {
    clearTimeout(notice);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
