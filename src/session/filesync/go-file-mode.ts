import { constants } from 'node:fs';

/** Bits of Go's `os.FileMode` that say what an entry is. */
const goMode = {
  directory: 0x8000_0000,
  symlink: 0x0800_0000,
  device: 0x0400_0000,
  namedPipe: 0x0200_0000,
  setuid: 0x0080_0000,
  setgid: 0x0040_0000,
  charDevice: 0x0020_0000,
  sticky: 0x0010_0000,
} as const;

const permissions = 0o777;
const setuid = 0o4000;
const setgid = 0o2000;
const sticky = 0o1000;

/**
 * Translates `st_mode` to Go's `os.FileMode`, which fsutil sends; unsigned 32 bits.
 *
 * A socket becomes a regular file, as in fsutil, whose receiver has no other place for it.
 */
export function goFileMode(mode: number): number {
  let bits = typeBits(mode) | (mode & permissions);
  if ((mode & setuid) !== 0) bits |= goMode.setuid;
  if ((mode & setgid) !== 0) bits |= goMode.setgid;
  if ((mode & sticky) !== 0) bits |= goMode.sticky;
  return bits >>> 0;
}

function typeBits(mode: number): number {
  switch (mode & constants.S_IFMT) {
    case constants.S_IFDIR:
      return goMode.directory;
    case constants.S_IFLNK:
      return goMode.symlink;
    case constants.S_IFIFO:
      return goMode.namedPipe;
    case constants.S_IFBLK:
      return goMode.device;
    case constants.S_IFCHR:
      return goMode.device | goMode.charDevice;
    default:
      return 0;
  }
}
