/** Longer than any job. */
const intervalMs = 2 ** 31 - 1;

/** How long what is still open may hold the process once all has been said. */
const lingerMs = 2000;

/**
 * Keeps the process running until it is disposed, and not much longer.
 *
 * When a connection is lost, all that we wait for may be timers that do not hold the event loop,
 * such as those of `AbortSignal.timeout`; Node would then end before we could say what happened. The
 * other way round, a helper program that hangs must not hold up the job. Normally neither matters: the
 * process ends by itself, since `process.exit` after heavy work was seen to deadlock in Node 24.
 */
export function stayAlive(): Disposable {
  const timer = setInterval(() => undefined, intervalMs);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      setTimeout(() => process.exit(), lingerMs).unref();
    },
  };
}
