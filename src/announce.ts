import type { ActionLogger } from './action/logger.ts';
import type { ActionOptions } from './options/options.ts';

/** Masks what is secret, before anything else is printed, and says what parsing had to say. */
export function announce(
  { secrets, notices, warnings }: Pick<ActionOptions, 'notices' | 'secrets' | 'warnings'>,
  logger: ActionLogger,
): void {
  for (const secret of secrets) logger.mask(secret);
  for (const notice of notices) logger.notice(notice);
  for (const warning of warnings) logger.warning(warning);
}
