import type { ErrorSource } from '../buildkit/error-details.ts';

/** The lines of a source file that an error is about, both from 1. */
export interface LineRange {
  readonly startLine: number;
  readonly endLine: number;
}

const rule = '--------------------';

/** From the first to the last line of all ranges; undefined when there is none in the file. */
export function linesOf({
  data,
  ranges,
}: Pick<ErrorSource, 'data' | 'ranges'>): LineRange | undefined {
  if (ranges.length === 0) return undefined;
  const lineCount = data.toString('utf8').split('\n').length;
  const startLine = Math.min(...ranges.map(({ start }) => start.line));
  const endLine = Math.max(...ranges.map(lastLine));
  if (startLine < 1 || startLine > lineCount) return undefined;
  return { startLine, endLine: Math.min(endLine, lineCount) };
}

/**
 * The lines around an error with a frame, as buildctl and buildx print them; undefined when the
 * error has no place in the file. Ends with a newline.
 *
 * Two lines of context on each side of a single line, one on each side of more. Follows BuildKit
 * `solver/errdefs/source.go`.
 */
export function sourceExcerpt(source: ErrorSource): string | undefined {
  const range = linesOf(source);
  if (range === undefined) return undefined;
  const lines = source.data.toString('utf8').split('\n');
  const context = range.startLine === range.endLine ? 2 : 1;
  const first = Math.max(1, range.startLine - context);
  const last = Math.min(lines.length, range.endLine + context);
  const shown = lines.slice(first - 1, last).map((text, index) => {
    const line = first + index;
    const marked = source.ranges.some((each) => each.start.line <= line && lastLine(each) >= line);
    return ` ${String(line).padStart(3)} | ${marked ? '>>>' : '   '} ${text}`;
  });
  return [`${source.filename}:${range.startLine}`, rule, ...shown, rule, ''].join('\n');
}

/** An end before the start counts as the start. */
function lastLine({ start, end }: ErrorSource['ranges'][number]): number {
  return Math.max(start.line, end.line);
}
