import { randomUUID } from 'node:crypto';
import type { Logger } from '../shared/logger.ts';
import { formatCommand, processHost, type StepHost } from './workflow-commands.ts';

/** A line of a file in the checkout, which an annotation points at. */
export interface SourceLocation {
  /** Relative to the workspace. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly endLine?: number | undefined;
}

/** The log of a step. */
export interface ActionLogger extends Logger {
  /** Prints an error and annotates the run with it. */
  error(message: string, about?: { title?: string; location?: SourceLocation | undefined }): void;
  /** Hides a value from everything that is printed later, by this and all later steps. */
  mask(secret: string): void;
}

/** Writes to the log of the runner; lines that look like commands of the runner are not obeyed. */
export function createLogger(host: StepHost = processHost): ActionLogger {
  const print = (line: string): void => {
    host.write(`${line}\n`);
  };
  return {
    debug: (message) => {
      print(formatCommand('debug', message));
    },
    info: (message) => {
      print(looksLikeCommand.test(message) ? withoutCommands(message) : message);
    },
    notice: (message) => {
      print(formatCommand('notice', message));
    },
    warning: (message) => {
      print(formatCommand('warning', message));
    },
    error: (message, { title, location } = {}) => {
      print(formatCommand('error', message, { title, ...location }));
    },
    startGroup: (title) => {
      print(formatCommand('group', title));
    },
    endGroup: () => {
      print(formatCommand('endgroup', ''));
    },
    mask: (secret) => {
      if (secret !== '') print(formatCommand('add-mask', secret));
    },
  };
}

/**
 * `::command::` at the start of a line, and the older `##[command]`, which is obeyed anywhere.
 *
 * The runner trims lines as .NET does, to which U+0085 is white space too.
 */
const looksLikeCommand = /^(?:\u0085|[^\S\r\n])*::|##\[/m;

/** Tells the runner not to obey the text: it may come from a build. */
function withoutCommands(text: string): string {
  const token = randomUUID();
  return `::stop-commands::${token}\n${text}\n::${token}::`;
}
