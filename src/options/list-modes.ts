/**
 * The ways in which the Docker actions read an input as a list.
 *
 * Follows `getList` of docker/actions-toolkit (src/util.ts) over the same CSV parser, except that
 * elements which are empty after trimming are dropped in every mode.
 */
import { parse } from 'csv-parse/sync';

/** Thrown when a quote is opened and never closed; carries no text of the input. */
export class UnclosedQuoteError extends Error {
  override readonly name = 'UnclosedQuoteError';
}

/** Mode C: every field of every line, as for `tags` and `platforms`. */
export function parseCommaList(text: string): string[] {
  const fields = readRecords(text, true).flatMap((record) =>
    // A quoted line is one field, and the toolkit splits it all the same.
    record.length === 1 ? (record[0] ?? '').split(',') : record,
  );
  return withoutBlanks(fields);
}

/** Mode L: one element per line, CSV quotes around fields lost, as for `build-args`. */
export function parseLineList(text: string): string[] {
  return withoutBlanks(readRecords(text, true).map((record) => record.join(',')));
}

/** Mode LR: one element per line, quotes kept as they are, as for `outputs`. */
export function parseRawLineList(text: string): string[] {
  return withoutBlanks(readRecords(text, false).map((record) => record.join(',')));
}

function readRecords(text: string, quotes: boolean): string[][] {
  try {
    return parse(text.trim(), {
      relax_quotes: true,
      relax_column_count: true,
      skip_empty_lines: true,
      record_delimiter: ['\r\n', '\n', '\r'],
      quote: quotes ? '"' : false,
    });
  } catch {
    // The parser's own message quotes the input.
    throw new UnclosedQuoteError('a quote is never closed');
  }
}

function withoutBlanks(elements: readonly string[]): string[] {
  return elements.map((element) => element.trim()).filter((element) => element !== '');
}
