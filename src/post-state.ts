import type { State } from './action/state.ts';
import type { BuilderState } from './kubernetes/driver.ts';

/** What main leaves for post, by name. */
export interface PostState {
  /** Each saved before it is created. */
  readonly builders: readonly PostBuilder[];
  /** Name of the builder whose file a setup step wrote. */
  readonly builderFile: string;
}

/** One node of the builder. */
export interface PostBuilder {
  readonly builder: BuilderState;
  /** Its place: 0 for the first one, 1 and up for those of `append`. */
  readonly node: number;
  /** What becomes of it if nobody removes it; known once it is there. */
  readonly expiry?: string;
}

/** Keeps the nodes of a builder for the post step. */
export class BuilderRecords {
  readonly #state: State<PostState>;
  readonly #records = new Map<number, PostBuilder>();

  constructor(state: State<PostState>) {
    this.#state = state;
  }

  /** A node, or what has become known of it since. */
  save(record: PostBuilder): void {
    this.#records.set(record.node, record);
    this.#state.save('builders', [...this.#records.values()]);
  }
}
