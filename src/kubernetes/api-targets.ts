import type { ApiTarget, ResolveApiTarget } from './api-target.ts';
import { untilAborted } from './until-aborted.ts';

/** Reads a target; with `renew`, credentials that were kept are asked for anew. */
export type ReadApiTarget = (
  signal: AbortSignal,
  options: { readonly renew: boolean },
) => Promise<ApiTarget>;

/** Tokens are read anew after this. */
export const targetAgeMs = 30_000;

interface Reading {
  readonly at: number;
  readonly target: Promise<ApiTarget>;
}

/**
 * Reads the target once for all who ask within 30 s.
 *
 * A reading belongs to nobody: who waits for it may give up, and it goes on for the others. It ends
 * when this is disposed of. One that failed is not kept.
 */
export class ApiTargets implements Disposable {
  readonly #read: ReadApiTarget;
  readonly #end = new AbortController();
  #latest: Reading | undefined;

  constructor(read: ReadApiTarget) {
    this.#read = read;
  }

  readonly resolve: ResolveApiTarget = async (signal, refused) => {
    signal.throwIfAborted();
    const reading = this.#current();
    const target = await untilAborted(reading, signal);
    if (refused === undefined || !hasSameCredentials(target, refused)) return target;
    // Where several were refused the same credentials, the first one renews them for all.
    const isLatest = this.#latest?.target === reading;
    return untilAborted(isLatest ? this.#start(true) : this.#current(), signal);
  };

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #current(): Promise<ApiTarget> {
    const latest = this.#latest;
    const isFresh = latest !== undefined && performance.now() - latest.at < targetAgeMs;
    return isFresh ? latest.target : this.#start(false);
  }

  #start(renew: boolean): Promise<ApiTarget> {
    const target = this.#read(this.#end.signal, { renew });
    const reading = { at: performance.now(), target };
    this.#latest = reading;
    target.catch(() => {
      if (this.#latest === reading) this.#latest = undefined;
    });
    return target;
  }
}

function hasSameCredentials(one: ApiTarget, other: ApiTarget): boolean {
  return (
    one.headers.Authorization === other.headers.Authorization &&
    String(one.tls.cert) === String(other.tls.cert)
  );
}
