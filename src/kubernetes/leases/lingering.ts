/**
 * Aborts a while after another signal does.
 *
 * For calls that change something: cut short, they leave open whether the server has done it, and so
 * whether there is something to undo.
 */
export function lingering(signal: AbortSignal, byMs: number): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => {
    setTimeout(() => {
      controller.abort(signal.reason);
    }, byMs).unref();
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return controller.signal;
}
