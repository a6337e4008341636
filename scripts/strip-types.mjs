/**
 * Jest transform that erases types the way Node itself does when it runs our scripts.
 *
 * Nothing is checked here: `npm run typecheck` covers sources and tests.
 */
import { stripTypeScriptTypes } from 'node:module';

export default {
  process: (source) => ({ code: stripTypeScriptTypes(source) }),
};
