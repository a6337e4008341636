import { describe, expect, it } from '@jest/globals';
import { untilAnswer } from '../../../src/kubernetes/until-answer.ts';

/** Changes that a test makes itself. */
function changes() {
  const listeners = new Set<() => void>();
  return {
    listeners,
    change: () => {
      for (const listener of listeners) listener();
    },
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

describe('untilAnswer', () => {
  it('asks at once, then after each change, and listens no longer than that', async () => {
    const { listeners, change, onChange } = changes();
    const answers = [undefined, undefined, 'deleted', 'late'];
    let asked = 0;
    const { signal } = new AbortController();
    const answer = untilAnswer(() => answers[asked++], { onChange, signal });
    expect(asked).toBe(1);
    change();
    change();
    expect(await answer).toBe('deleted');
    expect([asked, listeners.size]).toEqual([3, 0]);
  });

  it.each([
    ['meanwhile', false],
    ['before', true],
  ])('ends with the signal that was aborted %s', async (_, before) => {
    const { listeners, onChange } = changes();
    const controller = new AbortController();
    const reason = new Error('enough');
    if (before) controller.abort(reason);
    const answer = untilAnswer(() => undefined, { onChange, signal: controller.signal });
    controller.abort(reason);
    await expect(answer).rejects.toBe(reason);
    expect(listeners.size).toBe(0);
  });
});
