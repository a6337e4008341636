/**
 * Where every folder writes what the user sees.
 *
 * `action/logger.ts` implements it over workflow commands; tests record it.
 */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  notice(message: string): void;
  warning(message: string): void;
  startGroup(title: string): void;
  endGroup(): void;
}

/** Swallows everything, for callers that only want the result. */
export const nullLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  notice: () => undefined,
  warning: () => undefined,
  startGroup: () => undefined,
  endGroup: () => undefined,
};

/** Runs `work` inside a group of the log, which ends however the work ends. */
export async function inGroup<T>(
  logger: Logger,
  title: string,
  work: () => Promise<T>,
): Promise<T> {
  logger.startGroup(title);
  try {
    return await work();
  } finally {
    logger.endGroup();
  }
}
