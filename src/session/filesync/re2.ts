import { Automaton, Program, type Assertion, type Atom } from './automaton.ts';
import {
  codeOf,
  isBelow,
  not,
  range,
  ranges,
  union,
  word,
  type CharacterSet,
} from './character-set.ts';
import { PatternSyntaxError } from './glob.ts';

/** Perl's classes, which are ASCII only in RE2. */
const perlClasses: ReadonlyMap<string, CharacterSet> = new Map([
  ['d', ranges('09')],
  ['s', ranges('\t\n\f\r  ')],
  ['w', word],
]);

const posixClasses: ReadonlyMap<string, CharacterSet> = new Map([
  ['alnum', ranges('09AZaz')],
  ['alpha', ranges('AZaz')],
  ['ascii', ranges('\0\x7f')],
  ['blank', ranges('\t\t  ')],
  ['cntrl', ranges('\0\x1f\x7f\x7f')],
  ['digit', ranges('09')],
  ['graph', ranges('!~')],
  ['lower', ranges('az')],
  ['print', ranges(' ~')],
  ['punct', ranges('!/:@[`{~')],
  ['space', ranges('\t\r  ')],
  ['upper', ranges('AZ')],
  ['word', word],
  ['xdigit', ranges('09AFaf')],
]);

const controlEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

const assertions: ReadonlyMap<string, Assertion> = new Map([
  ['^', 'begin'],
  ['$', 'end'],
  ['\\A', 'begin'],
  ['\\z', 'end'],
  ['\\b', 'word-boundary'],
  ['\\B', 'no-word-boundary'],
]);

const slash = codeOf('/');
const notNewline = not(range('\n', '\n'));

/**
 * Compiles a regular expression of Go (RE2) that a pattern was turned into.
 *
 * Knows what can come out of patterns, odd ones included, and nothing else: no flags, and the only
 * group is the one of `**`. Throws `PatternSyntaxError` where Go refuses the expression.
 */
export function compileRe2(source: string): Automaton {
  return new Automaton(new Parser(source).parse());
}

const maxRepetitions = 1000;

/** How often something is repeated, and how that is written. */
type Count = readonly [form: string, atLeast: number, atMost: number];

class Parser {
  readonly #source: string;
  readonly #program = new Program();
  #at = 0;
  /** What a count that comes next would repeat; not written yet. */
  #last: Atom | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Program {
    while (this.#at < this.#source.length) this.#element();
    this.#write();
    this.#program.match();
    return this.#program;
  }

  #element(): void {
    const plain = this.#accept(/[^\\[(){|.*^$]/uy)?.[0];
    const count = plain === undefined ? this.#count() : undefined;
    if (plain !== undefined) {
      this.#write();
      this.#last = codeOf(plain);
    } else if (count !== undefined) {
      this.#repeat(count);
    } else if (this.#accept(/\|/y) !== undefined) {
      this.#write();
      this.#program.match();
    } else if (this.#accept(/\(\.\*\/\)\?/y) !== undefined) {
      this.#write();
      this.#folders();
    } else {
      for (const atom of this.#quotation() ?? [this.#assertion() ?? this.#set()]) {
        this.#write();
        this.#last = atom;
      }
    }
  }

  #write(): void {
    if (this.#last !== undefined) this.#program.repeat(this.#last);
    this.#last = undefined;
  }

  #repeat([form, atLeast, atMost]: Count): void {
    if (this.#last === undefined) throw new PatternSyntaxError(`${form} repeats nothing`);
    if (atLeast > atMost) throw new PatternSyntaxError(`${form} is the wrong way round`);
    this.#program.repeat(this.#last, atLeast, atMost);
    this.#last = undefined;
  }

  /** The group of a `**`: any number of folders. */
  #folders(): void {
    this.#program.optional(() => {
      this.#program.repeat(notNewline, 0, Infinity);
      this.#program.repeat(slash);
    });
  }

  /** A brace that begins no count stands for itself. */
  #count(): Count | undefined {
    if (this.#accept(/\*/y) !== undefined) return ['*', 0, Infinity];
    const braces = this.#accept(/\{(0|[1-9]\d*)(,(0|[1-9]\d*)?)?\}/y);
    if (braces === undefined) return undefined;
    const [form, atLeast, comma, atMost] = braces;
    const limits = [atLeast, atMost].filter((limit) => limit !== undefined).map(Number);
    if (limits.some((limit) => limit > maxRepetitions)) {
      throw new PatternSyntaxError(`${form} repeats more than ${maxRepetitions} times`);
    }
    const [low = 0, high = comma === undefined ? low : Infinity] = limits;
    return [form, low, high];
  }

  #quotation(): Atom[] | undefined {
    const quotation = this.#accept(/\\Q(.*?)(?:\\E|$)/sy)?.[1];
    return quotation === undefined ? undefined : Array.from(quotation).map(codeOf);
  }

  #assertion(): Assertion | undefined {
    return assertions.get(this.#accept(/[\^$]|\\[AzbB]/y)?.[0] ?? '');
  }

  #set(): Atom {
    if (this.#accept(/\[/y) !== undefined) return this.#class();
    if (this.#accept(/\./y) !== undefined) return notNewline;
    return this.#classEscape() ?? codeOf(this.#character());
  }

  #class(): CharacterSet {
    const negated = this.#accept(/\^/y) !== undefined;
    const items: CharacterSet[] = [];
    // A bracket that comes first is a member and not the end.
    do items.push(this.#posixClass() ?? this.#classEscape() ?? this.#range());
    while (this.#accept(/\]/y) === undefined);
    return negated ? not(union(items)) : union(items);
  }

  #range(): CharacterSet {
    const low = this.#character();
    if (this.#accept(/-(?=[^\]])/y) === undefined) return range(low, low);
    const high = this.#character();
    if (isBelow(high, low)) throw new PatternSyntaxError(`the range ${low}-${high} is empty`);
    return range(low, high);
  }

  /** A class of POSIX such as `[:alpha:]` or `[:^alpha:]`. */
  #posixClass(): CharacterSet | undefined {
    const [form, negation, name = ''] = this.#accept(/\[:(\^?)(.*?):\]/sy) ?? [];
    if (form === undefined) return undefined;
    const members = posixClasses.get(name);
    if (members === undefined) throw new PatternSyntaxError(`no class is called ${form}`);
    return negation === '^' ? not(members) : members;
  }

  /** A backslash and what stands for a class with it. */
  #classEscape(): CharacterSet | undefined {
    const letter = this.#accept(/\\([dswDSW])/y)?.[1];
    const perl = perlClasses.get(letter?.toLowerCase() ?? '');
    if (perl !== undefined) return letter === letter?.toLowerCase() ? perl : not(perl);
    const unicode = this.#accept(/\\([pP])(?:(\w)|\{(\^?)(\w+)\})/y);
    if (unicode === undefined) return undefined;
    const [, sign, short, negation, long = ''] = unicode;
    const members = unicodeClass(short ?? long);
    return (sign === 'P') !== (negation === '^') ? not(members) : members;
  }

  /** One character, which a backslash may stand for. */
  #character(): string {
    const code =
      this.#number(/\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/y, 16) ??
      this.#number(/\\(?:(0[0-7]{0,2})|([1-7][0-7]{1,2}))/y, 8);
    if (code !== undefined) return code;
    const control = this.#accept(/\\([afnrtv])/y)?.[1];
    if (control !== undefined) return controlEscapes.get(control) ?? '';
    const [form, quoted] = this.#accept(/\\([^0-9A-Za-z\u0080-\u{10ffff}])|[^\\]/uy) ?? [];
    if (form !== undefined) return quoted ?? form;
    const rest = Array.from(this.#source.slice(this.#at)).slice(0, 2).join('');
    throw new PatternSyntaxError(rest === '' ? 'it ends too early' : `${rest} has no meaning`);
  }

  #number(form: RegExp, radix: number): string | undefined {
    const [, first, second] = this.#accept(form) ?? [];
    const digits = first ?? second;
    if (digits === undefined) return undefined;
    const code = Number.parseInt(digits, radix);
    if (code > 0x10_ffff) throw new PatternSyntaxError(`there is no character ${digits}`);
    return String.fromCodePoint(code);
  }

  /** Moves past what the form, a sticky one, matches here. */
  #accept(form: RegExp): RegExpExecArray | undefined {
    form.lastIndex = this.#at;
    const match = form.exec(this.#source) ?? undefined;
    this.#at += match?.[0].length ?? 0;
    return match;
  }
}

/** A general category or a script, by its name in Go. */
function unicodeClass(name: string): CharacterSet {
  const property = /^(?:[CLMNPSZ][a-z]?|Any)$/.test(name) ? name : `Script=${name}`;
  try {
    // Whether there is such a class is left to JavaScript, whose tables are those of Unicode too.
    const members = new RegExp(`^\\p{${property}}$`, 'v');
    return (code) => members.test(String.fromCodePoint(code));
  } catch (error) {
    throw new PatternSyntaxError(`no class is called ${name}`, { cause: error });
  }
}
