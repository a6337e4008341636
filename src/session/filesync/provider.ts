import { FileSyncDefinition } from '../../wire/gen/filesync.ts';
import { rpcMethod } from '../../wire/rpc.ts';
import type { Attachable, SessionCall, SessionMethod } from '../attachable.ts';
import { grpcStatus, SessionError } from '../errors.ts';
import { PathFilter, type Judge } from './filter.ts';
import { followLinks, withoutNested } from './follow-links.ts';
import { PatternSyntaxError } from './glob.ts';
import { LocalFolder } from './local-folder.ts';
import { sendFolder, type TransferCounts } from './sender.ts';
import { readSyncRequest, type SyncRequest } from './sync-request.ts';

/** A folder of this machine that a build may read. */
export interface LocalMount {
  /** Path of the folder; a relative one starts at the working directory. */
  readonly root: string;
}

/** One transfer that the daemon has got all of. */
export interface Transfer extends TransferCounts {
  /** Name of the folder in the build, such as `context`. */
  readonly name: string;
}

/** Told of each transfer, right after it. */
export type TransferListener = (transfer: Transfer) => void;

/**
 * Sends local folders to the daemon when the build asks for them, and no other folders.
 *
 * `mounts` has them by their name in the build: `context`, `dockerfile`, named contexts. Calls fail
 * with `SessionError`: `SESSION_CALL_REFUSED` and status NOT_FOUND for a name that is not there,
 * `SESSION_PATTERN_INVALID` for patterns that cannot be used, and what `sendFolder` throws.
 * Follows BuildKit `session/filesync/filesync.go`.
 */
export class FileSyncProvider implements Attachable {
  readonly methods: Readonly<Record<string, SessionMethod>>;
  readonly #mounts: ReadonlyMap<string, LocalMount>;
  readonly #onTransfer: TransferListener | undefined;

  constructor(mounts: ReadonlyMap<string, LocalMount>, onTransfer?: TransferListener) {
    this.#mounts = mounts;
    this.#onTransfer = onTransfer;
    const { path } = rpcMethod(FileSyncDefinition, FileSyncDefinition.methods.diffCopy);
    this.methods = { [path]: (call) => this.#diffCopy(call) };
  }

  async #diffCopy(call: SessionCall): Promise<void> {
    const request = readSyncRequest(call);
    const mount = this.#mounts.get(request.name);
    if (mount === undefined) {
      throw new SessionError(
        'SESSION_CALL_REFUSED',
        `no access allowed to dir ${JSON.stringify(request.name)}`,
        { status: grpcStatus.notFound },
      );
    }
    const folder = await LocalFolder.at(mount.root, request.name);
    const filter = await filterOf(folder, request, call.signal);
    const counts = await sendFolder(call, folder, filter);
    this.#onTransfer?.({ name: request.name, ...counts });
  }
}

async function filterOf(
  folder: LocalFolder,
  { name, includes, excludes, followPaths }: SyncRequest,
  signal: AbortSignal,
): Promise<Judge> {
  const targets =
    followPaths.length > 0 ? await followLinks(folder, followPaths, signal) : undefined;
  const wanted =
    targets === undefined ? includes : (withoutNested([...includes, ...targets]) ?? []);
  const filter = naming(name, () => new PathFilter(wanted, excludes));
  return { judge: (path, parent) => naming(name, () => filter.judge(path, parent)) };
}

/** A pattern that is found invalid is told together with the folder that it is for. */
function naming<Result>(name: string, filter: () => Result): Result {
  try {
    return filter();
  } catch (error) {
    throw error instanceof PatternSyntaxError ? patternInvalid(name, error) : error;
  }
}

function patternInvalid(name: string, cause: PatternSyntaxError): SessionError {
  return new SessionError('SESSION_PATTERN_INVALID', `cannot filter "${name}": ${cause.message}`, {
    status: grpcStatus.invalidArgument,
    hint: 'Correct the line in .dockerignore, or the source path of the COPY or ADD that has it.',
    cause,
  });
}
