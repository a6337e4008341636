import type { Finding } from './finding.ts';
import type { ScaleUp } from './scale-up.ts';
import { Since } from './since.ts';

/** How long what looks hopeless may last: autoscalers look every 10 s. */
const stuckGraceMs = 15_000;
/** The wait when a node is being added, unless the user chose one. */
const scaleUpTimeoutMs = 10 * 60_000;

/** Whether to go on waiting; times are those of `performance.now()`. */
export type Verdict =
  | { readonly kind: 'wait'; readonly lookAgainAt: number }
  | { readonly kind: 'hopeless'; readonly finding: Finding }
  | { readonly kind: 'late'; readonly waitedMs: number };

/** Decides how long to wait for a builder, by what is found at each look. */
export class Patience {
  readonly #timeoutMs: number;
  readonly #timeoutIsExplicit: boolean;
  readonly #startedAt: number;
  readonly #stuckSince = new Since();

  constructor(
    options: { readonly timeoutMs: number; readonly timeoutIsExplicit: boolean },
    startedAt: number,
  ) {
    this.#timeoutMs = options.timeoutMs;
    this.#timeoutIsExplicit = options.timeoutIsExplicit;
    this.#startedAt = startedAt;
  }

  judge(
    findings: readonly Finding[],
    situation: {
      readonly now: number;
      readonly scaleUp: ScaleUp | undefined;
      /** Whether a pod serves by now, whatever is wrong with others. */
      readonly isServed: boolean;
    },
  ): Verdict {
    const { now, scaleUp, isServed } = situation;
    const stuckUntil = this.#stuckUntil(findings, now, scaleUp);
    const fatal = findings.find(
      ({ severity, text }) => severity === 'fatal' || (stuckUntil.get(text) ?? Infinity) <= now,
    );
    if (fatal !== undefined && !isServed) return { kind: 'hopeless', finding: fatal };
    const deadline = this.#deadline(scaleUp);
    if (now >= deadline) return { kind: 'late', waitedMs: deadline - this.#startedAt };
    const ends = [...stuckUntil.values()].filter((end) => end > now);
    return { kind: 'wait', lookAgainAt: Math.min(deadline, ...ends) };
  }

  /** When each stuck finding ends the wait; what is no longer found starts anew next time. */
  #stuckUntil(
    findings: readonly Finding[],
    now: number,
    scaleUp: ScaleUp | undefined,
  ): Map<string, number> {
    const stuck = findings.filter(({ severity }) => severity === 'stuck').map(({ text }) => text);
    const stuckSince = this.#stuckSince.look(stuck, now);
    // While a node is on its way nothing is hopeless, and once one was refused there is no hope.
    if (scaleUp?.isComing === true) return new Map();
    const graceMs = scaleUp === undefined ? stuckGraceMs : 0;
    return new Map([...stuckSince].map(([text, since]) => [text, since + graceMs]));
  }

  #deadline(scaleUp: ScaleUp | undefined): number {
    const stretched = scaleUp?.isComing === true && !this.#timeoutIsExplicit;
    return (
      this.#startedAt + (stretched ? Math.max(this.#timeoutMs, scaleUpTimeoutMs) : this.#timeoutMs)
    );
  }
}
