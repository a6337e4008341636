/**
 * Asks now and after each change until there is an answer.
 *
 * `onChange` takes a listener and gives the function that takes it off again. Rejects with the
 * reason of the signal.
 */
export function untilAnswer<T>(
  ask: () => T | undefined,
  {
    onChange,
    signal,
  }: {
    readonly onChange: (listener: () => void) => () => void;
    readonly signal: AbortSignal;
  },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stopListening();
      signal.removeEventListener('abort', abort);
      settle();
    };
    const abort = (): void => {
      finish(() => {
        reject(signal.reason as Error);
      });
    };
    const look = (): void => {
      const answer = ask();
      if (answer === undefined) return;
      finish(() => {
        resolve(answer);
      });
    };
    const stopListening = onChange(look);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    else look();
  });
}

/** Resolves at the next change, or after the time-out; rejects with the reason of the signal. */
export async function nextChange({
  onChange,
  signal,
  timeoutMs,
}: {
  readonly onChange: (listener: () => void) => () => void;
  readonly signal: AbortSignal;
  /** Default: none. */
  readonly timeoutMs?: number;
}): Promise<void> {
  let isFirst = true;
  const ask = (): true | undefined => {
    if (!isFirst) return true;
    isFirst = false;
    return undefined;
  };
  let timer: NodeJS.Timeout | undefined;
  const listen = (listener: () => void): (() => void) => {
    timer = timeoutMs === undefined ? undefined : setTimeout(listener, timeoutMs);
    return onChange(listener);
  };
  try {
    await untilAnswer(ask, { onChange: listen, signal });
  } finally {
    clearTimeout(timer);
  }
}
