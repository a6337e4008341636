import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { batches } from '../../../../src/kubernetes/exec/exec-codec.ts';

describe('batches', () => {
  it('cuts and gathers without losing, reordering or copying a byte', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 })),
        fc.integer({ min: 1, max: 16 }),
        (arrays, limit) => {
          const chunks = arrays.map((array) => Buffer.from(array.buffer));
          const result = [...batches(chunks, limit)];
          expect(Buffer.concat(result.flatMap(({ parts }) => parts))).toEqual(
            Buffer.concat(chunks),
          );
          for (const [index, { sizeBytes, parts }] of result.entries()) {
            expect(sizeBytes).toBe(parts.reduce((sum, part) => sum + part.length, 0));
            expect(sizeBytes).toBeGreaterThan(0);
            // Only the last one may be less than full.
            if (index < result.length - 1) expect(sizeBytes).toBe(limit);
            else expect(sizeBytes).toBeLessThanOrEqual(limit);
          }
          const owners = new Set<ArrayBufferLike>(chunks.map(({ buffer }) => buffer));
          const parts = result.flatMap((batch) => batch.parts).filter(({ length }) => length > 0);
          expect(parts.every(({ buffer }) => owners.has(buffer))).toBe(true);
        },
      ),
    );
  });
});
