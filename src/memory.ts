import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's space for young objects as small as it is when this is called.
 *
 * All bulk data passes in buffers that are garbage soon, each with a small object inside the heap.
 * They are freed when that space is full, so one that grows to its 16 MiB lets tens of MiB pile up
 * outside of it: 300 MB are sent with 100 MB resident instead of 140, in no more time.
 */
export function keepYoungSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
