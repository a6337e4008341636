import { ActionError } from './errors.ts';
import { processHost, writeState, type StepHost } from './workflow-commands.ts';

/**
 * What main leaves for the post step; values are JSON.
 *
 * `Values` names them, so that both steps agree on what they are.
 */
export class State<Values extends object> {
  readonly #host: StepHost;

  constructor(host: StepHost = processHost) {
    this.#host = host;
  }

  /** Keeps a value from now on, also when main is killed right after. */
  save<Name extends keyof Values & string>(name: Name, value: Values[Name]): void {
    writeState(name, JSON.stringify(value), this.#host);
  }

  /**
   * What main saved last; undefined when it did not get that far.
   *
   * Throws `ActionError` when something else than main wrote it.
   */
  read<Name extends keyof Values & string>(name: Name): Values[Name] | undefined {
    const text = this.#host.env[`STATE_${name}`] ?? '';
    if (text === '') return undefined;
    try {
      return JSON.parse(text) as Values[Name];
    } catch (cause) {
      throw new ActionError('STATE_INVALID', `state \`${name}\` is not what main saved`, { cause });
    }
  }
}
