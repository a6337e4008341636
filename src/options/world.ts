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
  /** Absolute folder that is emptied after the job. */
  readonly runnerTemp: string;
  readonly pathKind: (absolutePath: string) => PathKind;
  /** The text of a file; undefined when it cannot be read. */
  readonly readText: (absolutePath: string) => string | undefined;
  /** Whether the code to build comes from outside of the repository. */
  readonly isForkPullRequest: () => boolean;
}
