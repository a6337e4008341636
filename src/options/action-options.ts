import { InputError } from './errors.ts';
import type { ActionOptions } from './options.ts';
import type { RawInputs, World } from './world.ts';

/**
 * Turns inputs into options; pure.
 *
 * Throws one `InputError` that holds every problem found.
 */
export function parseActionOptions(raw: RawInputs, world: World): ActionOptions {
  void raw;
  void world;
  throw new InputError('INPUT_UNSUPPORTED', 'parsing of inputs is being written');
}
