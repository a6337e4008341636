import type { VertexWarning } from '../wire/gen/control.ts';
import type { Range } from '../wire/gen/ops.ts';

/** A remark about the build, such as a rule of the Dockerfile checks that is broken. */
export interface BuildWarning {
  /** Digest of the vertex that it first came with. */
  readonly vertex: string;
  readonly level: number;
  /** One line; build checks begin it with the rule: `StageNameCasing: …`. */
  readonly short: string;
  readonly detail: readonly string[];
  /** Empty when there is none. */
  readonly url: string;
  readonly source: WarningSource | undefined;
}

/** Where in a file a warning points to. */
export interface WarningSource {
  readonly filename: string;
  readonly language: string;
  /** The whole file. */
  readonly content: Buffer;
  /** Lines and characters, both counted as the daemon does: lines from 1, characters from 0. */
  readonly ranges: readonly Range[];
}

/**
 * Collects the warnings of a build, each once.
 *
 * As in buildx's `util/progress`, vertex and source definition do not make a difference.
 */
export class WarningCollector {
  readonly #byContent = new Map<string, BuildWarning>();

  add(warning: VertexWarning): void {
    const key = JSON.stringify([
      warning.level.toString(),
      warning.url,
      warning.short.toString('latin1'),
      warning.detail.map((line) => line.toString('latin1')),
      warning.info && [
        warning.info.filename,
        warning.info.language,
        warning.info.data.toString('latin1'),
      ],
      warning.ranges,
    ]);
    if (!this.#byContent.has(key)) this.#byContent.set(key, readWarning(warning));
  }

  /** In order of arrival. */
  list(): BuildWarning[] {
    return [...this.#byContent.values()];
  }
}

function readWarning({ vertex, level, short, detail, url, info, ranges }: VertexWarning) {
  return {
    vertex,
    level: Number(level),
    short: short.toString(),
    detail: detail.map((line) => line.toString()),
    url,
    source: info && {
      filename: info.filename,
      language: info.language,
      content: info.data,
      ranges,
    },
  } satisfies BuildWarning;
}
