import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One entry of a context; text is a regular file. */
export type ContextEntry =
  | string
  | Buffer
  | { readonly symlink: string }
  | { readonly hardlink: string }
  | { readonly text: string; readonly mode: number }
  | { readonly folder: true; readonly mode?: number }
  | { readonly fifo: true }
  | { readonly socket: true };

/** Paths to entries, in the order they are made. Names that are not UTF-8 are given as `latin1:…`. */
export type ContextSpec = Readonly<Record<string, ContextEntry>>;

/** A temporary folder made from a description, removed on disposal. */
export class ContextFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'context-'));

  constructor(spec: ContextSpec) {
    chmodSync(this.path, 0o755);
    this.add(spec);
    this.#settleTimes();
  }

  add(spec: ContextSpec): void {
    for (const [name, entry] of Object.entries(spec)) this.#make(this.#pathOf(name), entry);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #pathOf(name: string): Buffer {
    const bytes = name.startsWith('latin1:')
      ? Buffer.from(name.slice('latin1:'.length), 'latin1')
      : Buffer.from(name);
    return Buffer.concat([Buffer.from(`${this.path}/`), bytes]);
  }

  #make(path: Buffer, entry: ContextEntry): void {
    mkdirSync(path.subarray(0, path.lastIndexOf('/')), { recursive: true });
    if (typeof entry === 'string' || Buffer.isBuffer(entry)) writeFileSync(path, entry);
    else if ('symlink' in entry) symlinkSync(entry.symlink, path);
    else if ('hardlink' in entry) linkSync(join(this.path, entry.hardlink), path);
    else if ('fifo' in entry) run('mkfifo', path.toString());
    else if ('socket' in entry) {
      const script = 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])';
      run('python3', '-c', script, path.toString());
    } else if ('folder' in entry) {
      mkdirSync(path, { recursive: true });
      chmodSync(path, entry.mode ?? 0o755);
    } else {
      writeFileSync(path, entry.text);
      chmodSync(path, entry.mode);
    }
  }

  /** Old times everywhere, so that nothing depends on how long the test took. */
  #settleTimes(): void {
    const visit = (folder: Buffer): void => {
      for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) {
        const path = Buffer.concat([folder, Buffer.from('/'), entry.name]);
        if (entry.isDirectory()) visit(path);
        lutimesSync(path, 1_600_000_000, 1_600_000_000);
      }
    };
    visit(Buffer.from(this.path));
  }
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args);
  if (status !== 0) throw new Error(`${command} failed: ${String(stderr)}`);
}
