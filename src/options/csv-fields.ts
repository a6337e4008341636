/**
 * One line of `key=value` fields, as in `driver-opts` and `outputs`.
 *
 * Quotes follow Go's CSV rules: they stand around a whole field or not at all.
 */
import { CsvError, parse } from 'csv-parse/sync';
import { invalidInput } from './errors.ts';

/** The fields of a line as they are, without blank ones; throws an `InputError` naming the input. */
export function parseCsvFields(input: string, line: string): string[] {
  try {
    const [fields = []]: string[][] = parse(line.trim(), { relax_column_count: true });
    return fields.filter((field) => field.trim() !== '');
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw invalidInput({
      input,
      problem: 'has a line with a misplaced quote',
      expected: 'quotes around the whole field, such as "key=a,b"',
    });
  }
}
