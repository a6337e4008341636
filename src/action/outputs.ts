import { processHost, writeOutput, type StepHost } from './workflow-commands.ts';

/** All outputs of `action.yml`; a test compares the two. */
export const outputNames = [
  'attempts',
  'changed',
  'digest',
  'digests',
  'driver',
  'endpoint',
  'flags',
  'image',
  'imageid',
  'metadata',
  'name',
  'nodes',
  'platforms',
  'report',
  'status',
  'timings',
] as const;

export type OutputName = (typeof outputNames)[number];

/** Outputs that no run sets so far; whoever sets one removes it here. */
export const outputsNotSupportedYet: ReadonlySet<OutputName> = new Set([
  'changed',
  'digests',
  'report',
]);

/** Values by output; what is undefined is not set. */
export type Outputs = Readonly<Partial<Record<OutputName, string | undefined>>>;

/** Hands outputs to the later steps of the job. */
export function setOutputs(outputs: Outputs, host: StepHost = processHost): void {
  for (const name of outputNames) {
    const value = outputs[name];
    if (value !== undefined) writeOutput(name, value, host);
  }
}
