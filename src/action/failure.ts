import { InputError } from '../options/errors.ts';
import { CodedError, messageOf } from '../shared/errors.ts';
import type { ActionErrorCode } from './errors.ts';
import type { ActionLogger, SourceLocation } from './logger.ts';
import { writeSummary } from './workflow-commands.ts';

/** Anything that was thrown, ready to be read. */
export interface Failure {
  readonly code: string;
  /** One sentence or, for several inputs, one line each; then causes and hint, a line each. */
  readonly text: string;
}

/** Prints what was thrown as the one error of the step and makes the process end with 1. */
export function fail(
  thrown: unknown,
  { logger, location }: { logger: ActionLogger; location?: SourceLocation | undefined },
): void {
  const { code, text } = describeFailure(thrown);
  if (code === unexpected && thrown instanceof Error) logger.debug(thrown.stack ?? thrown.message);
  logger.error(text, { title: code, location });
  if (thrown instanceof Error && 'role' in thrown && typeof thrown.role === 'string') {
    // Whoever may grant the rights need not read the log.
    writeSummary(
      `### Rights are missing\n\n${messageOf(thrown)}\n\n\`\`\`yaml\n${thrown.role}\n\`\`\`\n`,
    );
  }
  process.exitCode = 1;
}

const unexpected: ActionErrorCode = 'UNEXPECTED_FAILURE';

/** Turns anything thrown into a code and a text. */
export function describeFailure(thrown: unknown): Failure {
  const code: string = thrown instanceof CodedError ? String(thrown.code) : unexpected;
  const lines = [`${messageOf(thrown)} [${code}]`];
  if (thrown instanceof InputError && thrown.problems.length > 1) {
    lines.push(...thrown.problems.map((problem) => `- ${asLine(problem)}`));
  }
  const causes = causesOf(thrown);
  lines.push(...causes.map((cause) => `Caused by: ${cause}`));
  const hint = hintOf(thrown);
  if (hint !== undefined) lines.push(`Hint: ${hint}`);
  return { code, text: lines.join('\n') };
}

function asLine({ message, hint, code }: InputError): string {
  return `${message}${hint === undefined ? '' : ` (${hint})`} [${code}]`;
}

const unexpectedHint = 'This is a defect of the action; please report it with a debug log.';

/** The hint nearest to the top of the chain, since it knows most about what was attempted. */
function hintOf(thrown: unknown): string | undefined {
  for (const each of chainOf(thrown)) {
    if (each instanceof CodedError && each.hint !== undefined) return each.hint;
  }
  return thrown instanceof CodedError ? undefined : unexpectedHint;
}

/** Messages of the causes that add something to those above them. */
function causesOf(thrown: unknown): string[] {
  const told = [messageOf(thrown)];
  for (const cause of chainOf(thrown).slice(1)) {
    const message = causeMessage(cause);
    if (message !== '' && !told.some((each) => each.includes(message))) told.push(message);
  }
  return told.slice(1);
}

/** Node puts the attempts of a failed connection into an aggregate whose own message is empty. */
function causeMessage(cause: unknown): string {
  if (!(cause instanceof AggregateError) || cause.message !== '') return messageOf(cause);
  return [...new Set(cause.errors.map(messageOf))].join('; ');
}

/** Chains are short; a longer one is a loop. */
const longestChain = 10;

function chainOf(thrown: unknown): unknown[] {
  const chain: unknown[] = [];
  let next = thrown;
  while (next !== undefined && chain.length < longestChain && !chain.includes(next)) {
    chain.push(next);
    next = next instanceof Error ? next.cause : undefined;
  }
  return chain;
}
