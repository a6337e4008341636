import { describe, expect, it } from '@jest/globals';
import type { Finding, Severity } from '../../../src/kubernetes/finding.ts';
import { Patience, type Verdict } from '../../../src/kubernetes/patience.ts';
import type { ScaleUp } from '../../../src/kubernetes/scale-up.ts';

const found = (severity: Severity, text = 'x'): Finding => ({
  severity,
  text,
  code: 'BUILDER_TIMEOUT',
  hint: undefined,
});

function patience(timeoutIsExplicit = false, timeoutMs = 60_000) {
  const judged = new Patience({ timeoutMs, timeoutIsExplicit }, 0);
  return (
    now: number,
    findings: readonly Finding[] = [],
    more: { readonly scaleUp?: boolean; readonly isServed?: boolean } = {},
  ): Verdict => {
    const scaleUp: ScaleUp | undefined =
      more.scaleUp === undefined ? undefined : { isComing: more.scaleUp, message: '' };
    return judged.judge(findings, { now, scaleUp, isServed: more.isServed ?? false });
  };
}

describe('Patience', () => {
  it('waits until its time is up', () => {
    const judge = patience();
    expect(judge(0)).toEqual({ kind: 'wait', lookAgainAt: 60_000 });
    expect(judge(60_000)).toEqual({ kind: 'late', waitedMs: 60_000 });
  });

  it('gives up at once what is fatal, unless another pod serves', () => {
    const judge = patience();
    expect(judge(0, [found('waiting'), found('fatal', 'f')])).toEqual({
      kind: 'hopeless',
      finding: found('fatal', 'f'),
    });
    expect(judge(0, [found('fatal')], { isServed: true }).kind).toBe('wait');
  });

  it('gives up what is stuck when it lasts, counted anew each time it comes', () => {
    const judge = patience();
    expect(judge(0, [found('stuck')])).toEqual({ kind: 'wait', lookAgainAt: 15_000 });
    expect(judge(14_000).kind).toBe('wait');
    expect(judge(16_000, [found('stuck')])).toEqual({ kind: 'wait', lookAgainAt: 31_000 });
    expect(judge(31_000, [found('stuck')]).kind).toBe('hopeless');
  });

  it('waits for a node that is on its way, ten minutes unless the user chose', () => {
    const judge = patience();
    const stuck = [found('stuck')];
    expect(judge(0, stuck, { scaleUp: true })).toEqual({ kind: 'wait', lookAgainAt: 600_000 });
    expect(judge(100_000, stuck, { scaleUp: true }).kind).toBe('wait');
    expect(judge(600_000, stuck, { scaleUp: true })).toEqual({ kind: 'late', waitedMs: 600_000 });
    expect(patience(true)(60_000, stuck, { scaleUp: true })).toEqual({
      kind: 'late',
      waitedMs: 60_000,
    });
    expect(patience(false, 900_000)(600_000, stuck, { scaleUp: true }).kind).toBe('wait');
  });

  it('does not wait for a node that was refused', () => {
    const judge = patience();
    expect(judge(0, [found('stuck')], { scaleUp: false }).kind).toBe('hopeless');
    expect(judge(0, [found('waiting')], { scaleUp: false }).kind).toBe('wait');
  });
});
