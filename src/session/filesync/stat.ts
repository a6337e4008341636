import type { BigIntStats } from 'node:fs';
import type { Stat } from '../../wire/gen/fsutil.ts';
import { toBytes, type ByteString } from './byte-string.ts';
import { goFileMode } from './go-file-mode.ts';

/**
 * What the daemon is told of an entry. `linkname` is the text of a symbolic link, or the path under
 * which a hard link was sent before, else empty.
 *
 * Owner and group are root's, as BuildKit's `client/solve.go` has it for every local folder, and
 * the time is that of the file system. Follows fsutil `stat.go` with one exception: extended
 * attributes are not sent, for Node cannot read them. buildx sends them, and those of `user.*`,
 * `trusted.*` and `security.capability` count in the daemon's cache key, so a context that uses
 * them (Git does not) gets other cache keys here and loses, say, what `setcap` gave to a file.
 */
export function statMessage(path: ByteString, stats: BigIntStats, linkname: ByteString): Stat {
  const isDevice = stats.isBlockDevice() || stats.isCharacterDevice();
  return {
    path: toBytes(path),
    mode: goFileMode(Number(stats.mode)),
    uid: 0,
    gid: 0,
    size: stats.isDirectory() ? 0n : stats.size,
    modTime: stats.mtimeNs,
    linkname: toBytes(linkname),
    devmajor: isDevice ? deviceMajor(stats.rdev) : 0n,
    devminor: isDevice ? deviceMinor(stats.rdev) : 0n,
    xattrs: {},
  };
}

function deviceMajor(device: bigint): bigint {
  return (device >> 8n) & 0xfffn;
}

function deviceMinor(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xfff00n);
}
