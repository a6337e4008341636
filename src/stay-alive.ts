/** Longer than any job. */
const intervalMs = 2 ** 31 - 1;

/**
 * Keeps the process running until it is disposed.
 *
 * When a connection is lost, all that we wait for may be timers that do not hold the event loop,
 * such as those of `AbortSignal.timeout`; Node would then end before we could say what happened.
 */
export function stayAlive(): Disposable {
  const timer = setInterval(() => undefined, intervalMs);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}
