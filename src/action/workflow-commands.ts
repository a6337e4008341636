/**
 * The two ways in which a step talks to GitHub's runner: commands on standard output and files.
 *
 * Written out here because importing `@actions/core` loads an HTTP stack, which takes longer than
 * everything else up to the first input error; tests compare every byte with it.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** Where a step runs: its variables and its standard output. */
export interface StepHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
}

/** The process that this code runs in. */
export const processHost: StepHost = {
  env: process.env,
  write: (text) => {
    process.stdout.write(text);
  },
};

/** Values by property name; undefined and empty ones are left out. */
export type CommandProperties = Readonly<Record<string, string | number | undefined>>;

/** One command line without its line end. */
export function formatCommand(
  command: string,
  message: string,
  properties: CommandProperties = {},
): string {
  const pairs = Object.entries(properties)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`);
  const list = pairs.length === 0 ? '' : ` ${pairs.join(',')}`;
  return `::${command}${list}::${escapeData(message)}`;
}

/** Sets an output of this step. */
export function writeOutput(name: string, value: string, host: StepHost): void {
  writeValue({ variable: 'GITHUB_OUTPUT', command: 'set-output', name, value }, host);
}

/** Keeps a value for the post step. */
export function writeState(name: string, value: string, host: StepHost): void {
  writeValue({ variable: 'GITHUB_STATE', command: 'save-state', name, value }, host);
}

/** Sets a variable for later steps of the job. */
export function writeVariable(name: string, value: string, host: StepHost): void {
  writeValue({ variable: 'GITHUB_ENV', command: 'set-env', name, value }, host);
}

/** Adds Markdown to the summary of the job; a runner without one gets nothing. */
export function writeSummary(markdown: string, host: StepHost = processHost): void {
  const file = host.env.GITHUB_STEP_SUMMARY ?? '';
  if (file !== '') appendFileSync(file, markdown);
}

interface NamedValue {
  /** Names the file; a runner without it is older than 2022 and knows the command. */
  readonly variable: string;
  readonly command: string;
  readonly name: string;
  readonly value: string;
}

function writeValue({ variable, command, name, value }: NamedValue, host: StepHost): void {
  const file = host.env[variable] ?? '';
  if (file === '') {
    host.write(`${formatCommand(command, value, { name })}\n`);
    return;
  }
  // Random, so that no value can end its own block and start another.
  const delimiter = `ghadelimiter_${randomUUID()}`;
  appendFileSync(file, `${name}<<${delimiter}\n${value}\n${delimiter}\n`);
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
