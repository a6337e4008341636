import { word, type CharacterSet } from './character-set.ts';

/** A condition on the place between two characters. */
export type Assertion = 'begin' | 'end' | 'word-boundary' | 'no-word-boundary';

/** What a text must have at one place: a character, by its code point or of a set, or a condition. */
export type Atom = number | CharacterSet | Assertion;

type Step =
  | { readonly kind: 'atom'; readonly atom: Atom }
  /** Goes on with the next step and with another. */
  | { readonly kind: 'fork'; readonly other: number }
  | { readonly kind: 'jump'; readonly to: number }
  | { readonly kind: 'match' };

/** A regular expression, written down step by step; each alternative ends with `match`. */
export class Program {
  readonly steps: Step[] = [];
  /** Where the alternatives begin. */
  readonly starts: number[] = [];
  #isOpen = false;

  /** An atom this many times in a row. */
  repeat(atom: Atom, atLeast = 1, atMost = atLeast): void {
    this.#open();
    const { steps } = this;
    for (let count = 0; count < atLeast; count += 1) steps.push({ kind: 'atom', atom });
    const at = steps.length;
    if (atMost === Infinity) {
      steps.push({ kind: 'fork', other: at + 3 }, { kind: 'atom', atom }, { kind: 'jump', to: at });
      return;
    }
    const other = at + 2 * (atMost - atLeast);
    while (steps.length < other) steps.push({ kind: 'fork', other }, { kind: 'atom', atom });
  }

  /** What `write` adds, or nothing. */
  optional(write: () => void): void {
    this.#open();
    const at = this.steps.length;
    this.steps.push({ kind: 'match' });
    write();
    this.steps[at] = { kind: 'fork', other: this.steps.length };
  }

  /** Ends an alternative, which may be empty. */
  match(): void {
    this.#open();
    this.steps.push({ kind: 'match' });
    this.#isOpen = false;
  }

  #open(): void {
    if (!this.#isOpen) this.starts.push(this.steps.length);
    this.#isOpen = true;
  }
}

/** What is behind a place. */
type Before = 'begin' | 'word' | 'other';

/** What is ahead of a place. */
type After = 'end' | 'word' | 'other';

/** All steps that a program may be at after some text. */
interface State {
  readonly steps: readonly number[];
  readonly before: Before;
  /** By class of the next character, as far as known. */
  readonly next: (State | undefined)[];
  /** Whether a text that ends here matches, once known. */
  matchesAtEnd: boolean | undefined;
}

const deadState: State = { steps: [], before: 'other', next: [], matchesAtEnd: false };
const matchedState: State = { steps: [], before: 'other', next: [], matchesAtEnd: true };

/** Steps in all known states together, above which they are forgotten. */
const maxKnownSteps = 100_000;

/**
 * Searches text for what a program describes, in time linear in the text whatever the program.
 *
 * Follows all ways through the program at once, and remembers where each class of characters led
 * from each set of ways: a deterministic automaton, made as far as it is needed.
 */
export class Automaton {
  readonly #steps: readonly Step[];
  /** Where another try begins at each character. */
  readonly #restarts: readonly number[];
  readonly #sets: readonly CharacterSet[];
  readonly #seesWords: boolean;
  /** Characters are of one class if the program cannot tell them apart. */
  readonly #classes = new Map<number | string, number>();
  readonly #singles: ReadonlySet<number>;
  readonly #asciiClasses: (number | undefined)[] = [];
  readonly #states = new Map<string, State>();
  #knownSteps = 0;
  #start: State;

  constructor({ steps, starts }: Pick<Program, 'steps' | 'starts'>) {
    const atoms = steps.map((step) => (step.kind === 'atom' ? step.atom : undefined));
    const sets = atoms.filter((atom) => typeof atom === 'function');
    this.#singles = new Set(atoms.filter((atom) => typeof atom === 'number'));
    this.#steps = steps;
    this.#restarts = starts.filter((start) => atoms[start] !== 'begin');
    this.#seesWords = atoms.some((atom) => typeof atom === 'string' && atom.includes('word'));
    this.#sets = [...new Set(this.#seesWords ? [...sets, word] : sets)];
    this.#start = this.#stateOf(starts, 'begin');
  }

  /** Whether the program matches some part of the text, which is well-formed. */
  test(text: string): boolean {
    let state = this.#start;
    for (let at = 0; at < text.length; at += 1) {
      let code = text.charCodeAt(at);
      if (code >= 0xd800 && code <= 0xdbff) {
        code = text.codePointAt(at) ?? code;
        at += 1;
      }
      const ofClass = this.#asciiClasses[code] ?? this.#classOf(code);
      state = state.next[ofClass] ?? this.#follow(state, code, ofClass);
      if (state === deadState) return false;
      if (state === matchedState) return true;
    }
    state.matchesAtEnd ??= this.#reach(state, 'end').isMatch;
    return state.matchesAtEnd;
  }

  #classOf(code: number): number {
    let key: number | string = code;
    if (!this.#singles.has(code)) {
      key = '';
      for (const set of this.#sets) key += set(code) ? '1' : '0';
    }
    const ofClass = this.#classes.get(key) ?? this.#classes.size;
    this.#classes.set(key, ofClass);
    if (code < 0x80) this.#asciiClasses[code] = ofClass;
    return ofClass;
  }

  #follow(state: State, code: number, ofClass: number): State {
    const isWord = this.#seesWords && word(code) ? 'word' : 'other';
    const { ahead, isMatch } = this.#reach(state, isWord);
    const next = isMatch ? matchedState : this.#stateOf(this.#taking(code, ahead), isWord);
    state.next[ofClass] = next;
    return next;
  }

  /** Where taking the character leads from these steps, and where the next try begins. */
  #taking(code: number, ahead: readonly number[]): Set<number> {
    const steps = new Set(this.#restarts);
    for (const at of ahead) {
      const step = this.#steps[at];
      if (step?.kind !== 'atom' || typeof step.atom === 'string') continue;
      if (typeof step.atom === 'number' ? step.atom === code : step.atom(code)) steps.add(at + 1);
    }
    return steps;
  }

  #stateOf(places: Iterable<number>, before: Before): State {
    const steps = Array.from(places);
    if (steps.length === 0) return deadState;
    if (steps.length > 1) steps.sort((left, right) => left - right);
    const key = `${before} ${steps.join()}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state: State = { steps, before, next: [], matchesAtEnd: undefined };
    this.#knownSteps += steps.length;
    if (this.#knownSteps > maxKnownSteps) this.#forget();
    this.#states.set(key, state);
    return state;
  }

  #forget(): void {
    this.#states.clear();
    this.#knownSteps = 0;
    this.#start = { ...this.#start, next: [] };
  }

  /** The steps that take a character, or match, reached from a state without taking any. */
  #reach({ steps, before }: State, after: After): { ahead: number[]; isMatch: boolean } {
    const ahead: number[] = [];
    const seen = new Set<number>();
    const open = [...steps];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const step = this.#steps[at];
      if (step === undefined) continue;
      if (step.kind === 'match') return { ahead: [], isMatch: true };
      if (step.kind === 'fork') open.push(at + 1, step.other);
      else if (step.kind === 'jump') open.push(step.to);
      else if (typeof step.atom !== 'string') ahead.push(at);
      else if (holds(step.atom, before, after)) open.push(at + 1);
    }
    return { ahead, isMatch: false };
  }
}

function holds(assertion: Assertion, before: Before, after: After): boolean {
  switch (assertion) {
    case 'begin':
      return before === 'begin';
    case 'end':
      return after === 'end';
    case 'word-boundary':
      return (before === 'word') !== (after === 'word');
    case 'no-word-boundary':
      return (before === 'word') === (after === 'word');
  }
}
