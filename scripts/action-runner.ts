/**
 * Runs the bundled action the way a GitHub runner does: inputs as `INPUT_*` with the defaults of
 * `action.yml`, command files, and the post step with the state that main saved.
 *
 * Used by the demo, the benchmarks and the tests; a `Job` is a row of steps that share
 * `GITHUB_ENV`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..');

export interface JobOptions {
  /** The checkout that steps build from. */
  readonly workspace: string;
  readonly repository?: string;
  readonly runId?: string;
  /** Variables beside the `GITHUB_*` ones, such as `KUBECONFIG`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface StepResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Standard output and error, in the order they came. */
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  readonly durationMs: number;
}

/** A process of a step while it runs. */
export interface RunningStep {
  readonly child: ChildProcess;
  /** Resolves once the log contains the text; rejects when the process ends without it. */
  logged(text: string | RegExp): Promise<void>;
  readonly done: Promise<StepResult>;
}

/** One job: its steps see what earlier steps exported. */
export class Job implements Disposable {
  readonly temp = mkdtempSync(join(tmpdir(), 'action-job-'));
  readonly #options: JobOptions;
  #exported: Readonly<Record<string, string>> = {};
  #steps = 0;

  constructor(options: JobOptions) {
    this.#options = options;
  }

  /** What steps have written to `GITHUB_ENV` so far. */
  get exported(): Readonly<Record<string, string>> {
    return this.#exported;
  }

  /** `action` is the folder of its `action.yml`. */
  step(
    inputs: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string>> = {},
    action: '.' | 'setup' = '.',
  ): Step {
    this.#steps += 1;
    const folder = join(this.temp, `step-${String(this.#steps)}`);
    mkdirSync(folder);
    return new Step({
      action,
      folder,
      workspace: this.#options.workspace,
      inputs,
      env: () => ({ ...this.#environment(), ...this.#exported, ...env }),
      onExported: (variables) => {
        this.#exported = { ...this.#exported, ...variables };
      },
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.temp, { recursive: true, force: true });
  }

  #environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_WORKSPACE: this.#options.workspace,
      GITHUB_REPOSITORY: this.#options.repository ?? 'acme/app',
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_API_URL: 'https://api.github.com',
      GITHUB_RUN_ID: this.#options.runId ?? '1',
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_SHA: '0123456789abcdef0123456789abcdef01234567',
      GITHUB_REF: 'refs/heads/main',
      GITHUB_EVENT_NAME: 'push',
      GITHUB_JOB: 'build',
      RUNNER_TEMP: this.temp,
      RUNNER_OS: 'Linux',
      RUNNER_ARCH: 'X64',
      ...this.#options.env,
    };
  }
}

interface StepOptions {
  readonly action: string;
  readonly folder: string;
  readonly workspace: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly env: () => Record<string, string>;
  readonly onExported: (variables: Readonly<Record<string, string>>) => void;
}

/** One `uses:` of the action, with its main and its post. */
export class Step {
  readonly #options: StepOptions;
  #state: Readonly<Record<string, string>> = {};

  constructor(options: StepOptions) {
    this.#options = options;
  }

  main(): RunningStep {
    return this.#start('main');
  }

  post(): RunningStep {
    return this.#start('post');
  }

  #start(phase: 'main' | 'post'): RunningStep {
    const files = this.#commandFiles(phase);
    const { action } = this.#options;
    const { inputs, runs } = readActionYml(action);
    const env: Record<string, string> = { ...this.#options.env() };
    for (const [name, value] of Object.entries({ ...inputs, ...this.#options.inputs })) {
      env[`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`] = value;
    }
    for (const [name, value] of Object.entries(this.#state)) env[`STATE_${name}`] = value;
    Object.assign(env, files);
    const startedMs = performance.now();
    const child = spawn(process.execPath, [join(root, action, runs[phase])], {
      cwd: this.#options.workspace,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return watch(child, (log, exitCode, signal) => {
      this.#state = { ...this.#state, ...readCommandFile(files.GITHUB_STATE) };
      this.#options.onExported(readCommandFile(files.GITHUB_ENV));
      return {
        exitCode,
        signal,
        log,
        outputs: readCommandFile(files.GITHUB_OUTPUT),
        summary: readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8'),
        durationMs: performance.now() - startedMs,
      };
    });
  }

  #commandFiles(phase: string): Record<CommandFile, string> {
    const file = (name: CommandFile): string => {
      const path = join(this.#options.folder, `${phase}-${name.toLowerCase()}`);
      writeFileSync(path, '');
      return path;
    };
    return {
      GITHUB_OUTPUT: file('GITHUB_OUTPUT'),
      GITHUB_STATE: file('GITHUB_STATE'),
      GITHUB_ENV: file('GITHUB_ENV'),
      GITHUB_PATH: file('GITHUB_PATH'),
      GITHUB_STEP_SUMMARY: file('GITHUB_STEP_SUMMARY'),
    };
  }
}

type CommandFile =
  'GITHUB_OUTPUT' | 'GITHUB_STATE' | 'GITHUB_ENV' | 'GITHUB_PATH' | 'GITHUB_STEP_SUMMARY';

function watch(
  child: ChildProcess,
  finish: (log: string, exitCode: number | null, signal: NodeJS.Signals | null) => StepResult,
): RunningStep {
  let log = '';
  const waiting = new Set<() => void>();
  const take = (chunk: Buffer): void => {
    log += chunk.toString();
    for (const look of waiting) look();
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const done = new Promise<StepResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      // What was never started has left nothing to read.
      if (child.pid !== undefined) resolve(finish(log, exitCode, signal));
    });
  });
  return {
    child,
    done,
    async logged(text) {
      const seen = (): boolean => (typeof text === 'string' ? log.includes(text) : text.test(log));
      await new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (!seen()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        done.then(() => {
          reject(new Error(`the step ended without logging ${String(text)}:\n${log}`));
        }, reject);
        look();
      });
    },
  };
}

interface ActionYml {
  readonly inputs: Record<string, string>;
  readonly runs: { readonly main: string; readonly post: string };
}

function readActionYml(action: string): ActionYml {
  const { inputs, runs } = parse(readFileSync(join(root, action, 'action.yml'), 'utf8')) as {
    inputs: Record<string, { default?: string | boolean | number } | null>;
    runs: { main: string; post: string };
  };
  const defaults = Object.entries(inputs).map(([name, input]): [string, string] => {
    const value = String(input?.default ?? '');
    // Expressions such as the token are empty outside GitHub.
    return [name, value.includes('${{') ? '' : value];
  });
  return { inputs: Object.fromEntries(defaults), runs };
}

/** Reads `name=value` lines and `name<<delimiter` blocks. */
function readCommandFile(path: string): Record<string, string> {
  const values: Record<string, string> = {};
  const lines = readFileSync(path, 'utf8').split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index]!;
    const block = /^([^=]+?)<<(.+)$/.exec(line);
    if (block !== null) {
      const end = lines.indexOf(block[2]!, index + 1);
      values[block[1]!] = lines.slice(index + 1, end).join('\n');
      index = end;
    } else if (line.includes('=')) {
      values[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1);
    }
  }
  return values;
}
