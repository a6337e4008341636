import type { Platform } from './options.ts';

/** Inputs by the name that `action.yml` gives them; what was not given is missing or empty. */
export type RawInputs = Readonly<Record<string, string>>;

/** What stands at a path; links are followed. */
export type PathKind = 'file' | 'directory' | 'other' | 'missing' | 'unreadable';

/** Facts from outside the inputs that parsing needs, gathered by `action/world.ts`. */
export interface World {
  /** Absolute; relative paths of the user start here. */
  readonly cwd: string;
  /** Absolute folder of the checkout, which is the default context. */
  readonly workspace: string;
  readonly runnerPlatform: Platform;
  /** For `build-args` without a value and the variables that buildx honours. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `<server>/<owner>/<repository>.git#<commit>`; unset outside of GitHub Actions. */
  readonly gitContext: string | undefined;
  readonly pathKind: (absolutePath: string) => PathKind;
}
