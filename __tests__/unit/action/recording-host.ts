import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { StepHost } from '../../../src/action/workflow-commands.ts';

const fileVariables = ['GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_ENV'] as const;
type FileVariable = (typeof fileVariables)[number];

/** A runner as a step sees it: command files in a temporary folder, and what was printed. */
export class RecordingHost implements StepHost, Disposable {
  readonly env: Record<string, string | undefined>;
  printed = '';
  readonly #folder = mkdtempSync(join(tmpdir(), 'recording-host-'));

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.env = { ...env };
    for (const variable of fileVariables) {
      const path = join(this.#folder, variable);
      writeFileSync(path, '');
      this.env[variable] = path;
    }
  }

  readonly write = (text: string): void => {
    this.printed += text;
  };

  /** What is in a command file. */
  file(variable: FileVariable): string {
    return readFileSync(join(this.#folder, variable), 'utf8');
  }

  /** The values in a command file, read as the runner does. */
  values(variable: FileVariable): Readonly<Record<string, string>> {
    const values: Record<string, string> = {};
    const lines = this.file(variable).split('\n');
    while (lines.length > 1) {
      const [name = '', delimiter = ''] = (lines.shift() ?? '').split('<<', 2);
      const end = lines.indexOf(delimiter);
      if (end < 0) throw new Error(`the value of ${name} never ends`);
      values[name] = lines.splice(0, end).join('\n');
      lines.shift();
    }
    return values;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
