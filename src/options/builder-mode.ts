/** The driver options `mode` and `rootless`, which name the same thing. */
import { booleanOf, wordOf } from './driver-option-values.ts';
import { InputError } from './errors.ts';
import type { BuilderMode } from './options.ts';
import type { Problems } from './problems.ts';

/** Excludes itself in two ways of writing, for nodes that inherit one of them. */
export const modeOptions = ['mode', 'rootless'] as const;

const modes = ['privileged', 'rootless', 'userns', 'auto'] as const;

/** From driver options by name; `rootless=false` alone is what happens anyway. */
export function parseBuilderMode(
  given: ReadonlyMap<string, string>,
  problems: Problems,
): BuilderMode {
  return problems.guard<BuilderMode>('privileged', () => {
    const mode = given.get('mode');
    const word = given.get('rootless');
    const rootless =
      word === undefined
        ? undefined
        : problems.guard(undefined, () => booleanOf({ option: 'rootless', value: word }));
    const chosen = mode === undefined ? undefined : wordOf(modes, { option: 'mode', value: mode });
    if (rootless === undefined) return chosen ?? 'privileged';
    if (chosen !== undefined && (chosen === 'rootless') !== rootless) {
      throw new InputError(
        'INPUT_CONTRADICTION',
        `input \`driver-opts\`: \`rootless=${word}\` and \`mode=${chosen}\` exclude each other`,
        { hint: 'Keep `mode` alone.' },
      );
    }
    return rootless ? 'rootless' : (chosen ?? 'privileged');
  });
}
