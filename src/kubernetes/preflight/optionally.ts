/** What nothing depends on is not worth a longer wait. */
const patienceMs = 5_000;

/**
 * The answer to a question that may stay open: undefined when it fails or takes longer than 5 s.
 *
 * Rejects with the signal's reason alone.
 */
export async function optionally<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await ask(AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]));
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
