/** Execution of arm64 programs by qemu, registered with the kernel for the whole machine. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';

import { run } from './command.ts';
import { statePath } from './layout.ts';

const folder = '/proc/sys/fs/binfmt_misc';
const entry = `${folder}/kube-buildx-arm64`;
const emulator = '/usr/bin/qemu-aarch64-static';

/** Exists when it was us who mounted binfmt_misc, so that we unmount it again. */
const mountedByUs = statePath('mounted-binfmt');

/**
 * Registers qemu for arm64, unless the machine has an emulator registered already.
 *
 * Flag F opens the emulator now, so that it is found from inside of containers, too.
 */
export async function registerEmulator(): Promise<void> {
  if (!existsSync(`${folder}/register`)) {
    await run('mount', ['-t', 'binfmt_misc', 'binfmt_misc', folder]);
    await writeFile(mountedByUs, '');
  }
  if (existsSync(entry) || existsSync(`${folder}/qemu-aarch64`)) return;
  // A 64-bit little-endian ELF executable or shared object for machine 183, any ABI.
  const magic = '7f454c460201010000000000000000000200b700';
  const mask = 'ffffffffffffff00fffffffffffffffffeffffff';
  const escaped = (hex: string): string => hex.replace(/../g, '\\x$&');
  const rule = `:kube-buildx-arm64:M::${escaped(magic)}:${escaped(mask)}:${emulator}:FP`;
  await writeFile(`${folder}/register`, rule);
}

/** Takes back what {@link registerEmulator} did. */
export async function unregisterEmulator(): Promise<void> {
  if (existsSync(entry)) await writeFile(entry, '-1');
  if (!existsSync(mountedByUs)) return;
  if (await isMounted()) await run('umount', [folder]);
}

async function isMounted(): Promise<boolean> {
  return (await readFile('/proc/self/mounts', 'utf8')).includes(` ${folder} binfmt_misc `);
}
