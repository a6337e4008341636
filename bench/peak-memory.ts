import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Samples the highest resident memory of a process, in MB, until it ends. */
export function watchPeakMemory(child: ChildProcess): () => number | undefined {
  let peakMb: number | undefined;
  const look = (): void => {
    try {
      const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8');
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
      if (kilobytes !== undefined) peakMb = Number(kilobytes) / 1024;
    } catch {
      // It ended between two looks; the mark only ever rises, so the last one stands.
    }
  };
  const timer = setInterval(look, 20);
  child.once('exit', () => {
    clearInterval(timer);
  });
  return () => peakMb;
}
