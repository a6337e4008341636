import type { BuilderState } from './kubernetes/driver.ts';

/** What main leaves for post, by name. */
export interface PostState {
  /** Saved before the builder is created. */
  readonly builder: BuilderState;
  /** What becomes of the builder if nobody removes it; saved once it is there. */
  readonly expiry: string;
}
