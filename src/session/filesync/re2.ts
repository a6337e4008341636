import { PatternSyntaxError } from './glob.ts';
import { classSource, isBelow, literalSource, rangeSource } from './regexp-source.ts';

/** Perl's classes, which are ASCII only in RE2. */
const perlClasses: ReadonlyMap<string, string> = new Map([
  ['d', '0-9'],
  ['s', '\\t\\n\\f\\r\\x20'],
  ['w', '0-9A-Za-z_'],
]);

const posixClasses: ReadonlyMap<string, string> = new Map([
  ['alnum', '0-9A-Za-z'],
  ['alpha', 'A-Za-z'],
  ['ascii', '\\x00-\\x7f'],
  ['blank', '\\t\\x20'],
  ['cntrl', '\\x00-\\x1f\\x7f'],
  ['digit', '0-9'],
  ['graph', '\\x21-\\x7e'],
  ['lower', 'a-z'],
  ['print', '\\x20-\\x7e'],
  ['punct', '\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e'],
  ['space', '\\t-\\r\\x20'],
  ['upper', 'A-Z'],
  ['word', '0-9A-Za-z_'],
  ['xdigit', '0-9A-Fa-f'],
]);

const controlEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

/**
 * Compiles a regular expression of Go (RE2) that a pattern was turned into.
 *
 * Knows what can come out of patterns, odd ones included, and nothing else: no flags, and the only
 * group is the one of `**`. Throws `PatternSyntaxError` where Go refuses the expression.
 */
export function compileRe2(source: string): RegExp {
  const jsSource = new Translator(source).translate();
  try {
    return new RegExp(jsSource, 'v');
  } catch (error) {
    throw new PatternSyntaxError('it cannot be matched', { cause: error });
  }
}

const maxRepetitions = 1000;

/** Reads RE2 syntax and writes that of JavaScript, for the `v` flag. */
class Translator {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  translate(): string {
    let jsSource = '';
    while (this.#at < this.#source.length) jsSource += this.#element();
    return jsSource;
  }

  #element(): string {
    if (this.#accept(/\[/y) !== undefined) return this.#class();
    if (this.#accept(/\./y) !== undefined) return '[^\\n]';
    if (this.#accept(/\(/y) !== undefined) return '(?:';
    return (
      this.#accept(/[)*?|]/y)?.[0] ??
      this.#assertion() ??
      this.#repetition() ??
      this.#quotation() ??
      this.#classEscape() ??
      literalSource(this.#character())
    );
  }

  /** In a group, for RE2 lets assertions be repeated. */
  #assertion(): string | undefined {
    const assertion = this.#accept(/[\^$]|\\[AzbB]/y)?.[0];
    if (assertion === undefined) return undefined;
    return `(?:${assertion.replace('\\A', '^').replace('\\z', '$')})`;
  }

  /** A brace that begins no count stands for itself. */
  #repetition(): string | undefined {
    const count = this.#accept(/\{(0|[1-9]\d*)(?:,(0|[1-9]\d*)?)?\}/y);
    if (count?.slice(1).some((limit) => Number(limit) > maxRepetitions) === true) {
      throw new PatternSyntaxError(`${count[0]} repeats more than ${maxRepetitions} times`);
    }
    return count?.[0];
  }

  #quotation(): string | undefined {
    const quotation = this.#accept(/\\Q(.*?)(?:\\E|$)/sy)?.[1];
    return quotation === undefined ? undefined : Array.from(quotation).map(literalSource).join('');
  }

  #class(): string {
    const negated = this.#accept(/\^/y) !== undefined;
    const items: string[] = [];
    // A bracket that comes first is a member and not the end.
    do items.push(this.#posixClass() ?? this.#classEscape() ?? this.#range());
    while (this.#accept(/\]/y) === undefined);
    return classSource(items, negated);
  }

  #range(): string {
    const low = this.#character();
    if (this.#accept(/-(?=[^\]])/y) === undefined) return literalSource(low);
    const high = this.#character();
    if (isBelow(high, low)) throw new PatternSyntaxError(`the range ${low}-${high} is empty`);
    return rangeSource(low, high);
  }

  /** A class of POSIX such as `[:alpha:]` or `[:^alpha:]`. */
  #posixClass(): string | undefined {
    const [form, negation, name = ''] = this.#accept(/\[:(\^?)(.*?):\]/sy) ?? [];
    if (form === undefined) return undefined;
    const members = posixClasses.get(name);
    if (members === undefined) throw new PatternSyntaxError(`no class is called ${form}`);
    return classSource([members], negation === '^');
  }

  /** A backslash and what stands for a class with it. */
  #classEscape(): string | undefined {
    const perl = this.#accept(/\\([dswDSW])/y)?.[1];
    if (perl !== undefined) {
      const lower = perl.toLowerCase();
      return classSource([perlClasses.get(lower) ?? ''], perl !== lower);
    }
    const unicode = this.#accept(/\\([pP])(?:(\w)|\{(\^?)(\w+)\})/y);
    if (unicode === undefined) return undefined;
    const [, letter = '', short, negation, long = ''] = unicode;
    const name = short ?? long;
    // Whether there is such a class is left to JavaScript, whose tables are those of Unicode too.
    const property = /^(?:[CLMNPSZ][a-z]?|Any)$/.test(name) ? name : `Script=${name}`;
    return classSource([`\\${letter}{${property}}`], negation === '^');
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
