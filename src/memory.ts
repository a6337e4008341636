import { setFlagsFromString } from 'node:v8';

/** V8's own. */
const defaultGrowthFactor = 2;

/**
 * Keeps V8's space for young objects as small as it is, until this is disposed.
 *
 * All bulk data passes in buffers that are garbage soon, each with a small object inside the heap.
 * They are freed when that space is full, so one that grows to its 16 MiB lets tens of MiB pile up
 * outside of it: 300 MB are sent with 100 MB resident instead of 140, in no more time.
 *
 * For the time of a build alone, when all modules are loaded: V8 takes no compiled code that was kept
 * under other flags, so that modules of Node loaded meanwhile are parsed from their sources.
 */
export function keepYoungSpaceSmall(): Disposable {
  setFlagsFromString('--semi-space-growth-factor=1');
  return {
    [Symbol.dispose]() {
      setFlagsFromString(`--semi-space-growth-factor=${defaultGrowthFactor}`);
    },
  };
}
