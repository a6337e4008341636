import { isGoTrue } from '../../shared/go-boolean.ts';
import type { SessionCall } from '../attachable.ts';
import { fromText, toText, type ByteString } from './byte-string.ts';

/** What the daemon wants to have of which folder. */
export interface SyncRequest {
  /** Name of the folder in the build, such as `context`. */
  readonly name: string;
  readonly includes: readonly ByteString[];
  readonly excludes: readonly ByteString[];
  /** Paths that are wanted together with whatever their links lead to. */
  readonly followPaths: readonly ByteString[];
}

/**
 * Reads the headers of a DiffCopy call.
 *
 * Follows BuildKit `session/filesync/filesync.go`: a header `<name>-encoded` says that all values of
 * `<name>` are query-escaped, which the daemon does when one of them is not ASCII.
 */
export function readSyncRequest(call: SessionCall): SyncRequest {
  return {
    name: toText(headerValues(call, 'dir-name')[0] ?? ''),
    includes: headerValues(call, 'include-patterns'),
    excludes: headerValues(call, 'exclude-patterns'),
    followPaths: headerValues(call, 'followpaths'),
  };
}

function headerValues(call: SessionCall, name: string): ByteString[] {
  const values = call.header(name).map(fromText);
  const isEncoded = isGoTrue(call.header(`${name}-encoded`)[0] ?? '');
  return isEncoded ? values.map(queryUnescape) : values;
}

/** Go's `url.QueryUnescape`; a value that is not escaped correctly counts as empty. */
function queryUnescape(value: ByteString): ByteString {
  if (/%(?![0-9A-Fa-f]{2})/.test(value)) return '';
  return value
    .replaceAll('+', ' ')
    .replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
