import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Script } from 'node:vm';

type Require = (id: string) => unknown;

/** The names that CommonJS gives to a module. */
const head = '(function (exports, require, module, __filename, __dirname) {';
const tail = '\n})';

/**
 * Loads the CommonJS files of the bundle, with the compiled code that an earlier step has kept.
 *
 * Node's own compile cache is filled before anything has run, so that it lacks most functions: each
 * would be parsed when it is called. Here it is filled afterwards.
 */
export class Bundle {
  readonly #folder: string;
  readonly #keptIn: string | undefined;
  readonly #builtin: Require;
  readonly #modules = new Map<string, { readonly exports: object }>();
  /** Those that had no compiled code of use. */
  readonly #compiled = new Map<string, Script>();

  /** `keptIn` is the folder for compiled code of this very bundle; undefined: none is kept. */
  constructor(folder: string, keptIn: string | undefined) {
    this.#folder = folder;
    this.#keptIn = keptIn;
    this.#builtin = createRequire(join(folder, 'index.js'));
  }

  /** What a file of the bundle exports, by its `./name`, or a module of Node. */
  require(id: string): unknown {
    if (!id.startsWith('./')) return this.#builtin(id);
    const module = this.#modules.get(id) ?? this.#run(id);
    return module.exports;
  }

  /** Keeps the compiled code of what was loaded; where that cannot be, nothing depends on it. */
  keep(): void {
    if (this.#keptIn === undefined || this.#compiled.size === 0) return;
    try {
      mkdirSync(this.#keptIn, { recursive: true });
      for (const [id, script] of this.#compiled) {
        const file = join(this.#keptIn, id);
        // Never half a file, which V8 would not notice.
        const draft = `${file}.${String(process.pid)}`;
        writeFileSync(draft, script.createCachedData());
        renameSync(draft, file);
      }
    } catch {
      // Later steps compile for themselves.
    }
  }

  #run(id: string): { readonly exports: object } {
    const module = { exports: {} };
    this.#modules.set(id, module);
    const filename = join(this.#folder, id);
    const require: Require = (other) => this.require(other);
    const run = this.#compile(id, filename).runInThisContext() as (...scope: unknown[]) => void;
    run(module.exports, require, module, filename, this.#folder);
    return module;
  }

  #compile(id: string, filename: string): Script {
    const source = head + readFileSync(filename, 'utf8') + tail;
    const cachedData = this.#kept(id);
    const script = new Script(source, { filename, columnOffset: -head.length, cachedData });
    if (cachedData === undefined || script.cachedDataRejected === true) {
      this.#compiled.set(id, script);
    }
    return script;
  }

  #kept(id: string): Buffer | undefined {
    if (this.#keptIn === undefined) return undefined;
    try {
      return readFileSync(join(this.#keptIn, id));
    } catch {
      return undefined;
    }
  }
}
