import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

/** A context to build, which can be made new for each run. */
export interface BenchContext extends AsyncDisposable {
  readonly path: string;
  /** Changes every file, so that nothing of an earlier run serves. */
  renew(): void;
}

/** Three lines of Dockerfile and a file, in a Git checkout as on a runner. */
export function smallContext(): BenchContext {
  const path = newFolder();
  writeFileSync(join(path, 'Dockerfile'), 'FROM busybox\nCOPY in /in\nRUN cat /in\n');
  writeFileSync(join(path, 'in'), 'hello\n');
  for (const args of [
    ['init', '--quiet'],
    ['add', '.'],
    ['commit', '--quiet', '-m', 'all'],
  ]) {
    const author = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];
    execFileSync('git', [...author, ...args], { cwd: path });
  }
  writeFileSync(join(path, '.dockerignore'), '.git\n');
  return { path, renew: () => undefined, [Symbol.asyncDispose]: () => removeFolder(path) };
}

/** One file of 300 MB. */
export async function largeFileContext(): Promise<BenchContext> {
  const path = newFolder();
  const file = join(path, 'm');
  writeFileSync(join(path, 'Dockerfile'), 'FROM scratch\nCOPY m /m\n');
  const stream = createWriteStream(file);
  const block = randomBytes(1_000_000);
  for (let written = 0; written < 300; written += 1) {
    if (!stream.write(block)) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'finish');
  const renew = (): void => {
    const handle = openSync(file, 'r+');
    writeSync(handle, randomBytes(16), 0, 16, 0);
    closeSync(handle);
  };
  return { path, renew, [Symbol.asyncDispose]: () => removeFolder(path) };
}

/** 20 000 files of 4 KB on average, in 200 folders. */
export function manyFilesContext(): BenchContext {
  const path = newFolder();
  writeFileSync(join(path, 'Dockerfile'), 'FROM scratch\nCOPY m /m\n');
  const renew = (): void => {
    for (let folder = 0; folder < 200; folder += 1) {
      mkdirSync(join(path, 'm', String(folder)), { recursive: true });
      for (let file = 0; file < 100; file += 1) {
        writeFileSync(
          join(path, 'm', String(folder), String(file)),
          randomBytes(400 + ((folder * 100 + file) % 19) * 400),
        );
      }
    }
  };
  renew();
  return { path, renew, [Symbol.asyncDispose]: () => removeFolder(path) };
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'bench-context-'));
}

function removeFolder(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
