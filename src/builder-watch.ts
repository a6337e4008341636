/** Work on a builder, given up as soon as nobody is left to do it. */
import type { BuildkitConnection } from './buildkit/connection.ts';
import { looksLikeLoss } from './infrastructure.ts';
import type { BuilderAtWork } from './builder-at-work.ts';
import { BuilderLost } from './kubernetes/loss.ts';
import { Liveness, type Silence } from './liveness.ts';
import { SolveError } from './solve/errors.ts';
import { StillWaiting } from './still-waiting.ts';

export interface WatchOptions {
  readonly builder: Pick<BuilderAtWork, 'podLost' | 'explainLoss' | 'answersAnew'>;
  readonly connection: Pick<BuildkitConnection, 'bytesRead' | 'cut' | 'info'>;
  /** What the work is at, such as `[2/3] RUN make`, for the reason of a loss. */
  readonly step: () => string | undefined;
  /** Gets the line that says that a builder without news still lives. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
  /** What counts as a second of silence; default 1000. */
  readonly tickMs?: number;
}

/**
 * Runs `work`, and cuts its connection once the pod is gone or nobody answers any more: within 10 s,
 * also where the connection itself still looks open.
 *
 * `news` is to be called whenever there is something to see. Throws `BuilderLost` in place of what
 * the work fails with by that; any other failure as it is.
 */
export async function whileBuilderLives<T>(
  options: WatchOptions,
  work: (news: () => void) => Promise<T>,
): Promise<T> {
  const { builder, connection, signal, step, tell, tickMs } = options;
  const watch = new AbortController();
  let lost: BuilderLost | undefined;
  let silence: Silence | undefined;
  builder.podLost(AbortSignal.any([signal, watch.signal]), step).then(
    (reason) => {
      lost = reason;
      connection.cut(reason);
    },
    () => undefined,
  );
  using liveness = new Liveness({
    bytesRead: () => connection.bytesRead,
    probe: (probing) => connection.info(probing),
    askAnew: (asking, reached) => builder.answersAnew(asking, reached),
    onDead: (found) => {
      silence = found;
      connection.cut(new Error(`no sign of life from the daemon for ${found.silentMs / 1000} s`));
    },
    ...(tickMs === undefined ? {} : { tickMs }),
  });
  using waiting = new StillWaiting({ silentMs: () => liveness.silentMs, tell });
  try {
    return await work(() => {
      waiting.news();
    });
  } catch (failure) {
    signal.throwIfAborted();
    const isSilent = silence?.elsewhere === 'nobody';
    throw lost ?? (await explained(failure, { ...options, isSilent }));
  } finally {
    watch.abort();
  }
}

/** The failure, or the loss behind it. */
async function explained(
  failure: unknown,
  { builder, signal, step, isSilent }: WatchOptions & { readonly isSilent: boolean },
): Promise<unknown> {
  if (!looksLikeLoss(failure)) return failure;
  const lost = await builder.explainLoss(signal, failure, { step: step(), isSilent });
  // An answer of the daemon is no sign of a broken connection.
  const isAnswer = failure instanceof SolveError;
  const isOnlyConnection = !(lost instanceof BuilderLost) || lost.kind === 'connection';
  return isAnswer && isOnlyConnection ? failure : lost;
}
