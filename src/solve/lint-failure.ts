import type { BuildkitErrorDetails } from '../buildkit/error-details.ts';
import type { VertexWarning } from '../wire/gen/control.ts';

type Sources = BuildkitErrorDetails['sources'];

/** The rules that a Dockerfile with `check=error=true` breaks, of which the error names no lines. */
const lintMessage = /\blint violation found for rules: (.+)$/;

/** The lines that the warnings of the rules point to; empty for another message. */
export function lintSources(message: string, warnings: readonly VertexWarning[]): Sources {
  const rules = lintMessage.exec(message)?.[1]?.split(', ') ?? [];
  return warnings
    .filter(({ short }) => rules.includes(short.toString().split(':')[0] ?? ''))
    .flatMap(({ info, ranges }) =>
      info === undefined ? [] : [{ ...info, ranges: ranges.map(toRange) }],
    );
}

function toRange({
  start,
  end,
}: VertexWarning['ranges'][number]): Sources[number]['ranges'][number] {
  const nowhere = { line: 0, character: 0 };
  return { start: start ?? nowhere, end: end ?? nowhere };
}
