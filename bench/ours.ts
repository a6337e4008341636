import { Job, type Step, type StepResult } from '../scripts/action-runner.ts';
import { clusterInputs } from '../scripts/find-cluster.ts';
import type { Place, Sample } from './measure.ts';
import { watchPeakMemory } from './peak-memory.ts';

/** Our side: a job whose first step makes a builder and whose later steps are measured. */
export class OurBuilder implements AsyncDisposable {
  readonly #place: Place;
  readonly #job: Job;
  #first: Step | undefined;

  constructor(place: Place, workspace: string) {
    this.#place = place;
    this.#job = new Job({ workspace, env: { KUBECONFIG: place.cluster.kubeconfig } });
  }

  /** Builds once and fails where the action fails. */
  async build(
    inputs: Readonly<Record<string, string>>,
  ): Promise<StepResult & { peakRssMb: number | undefined }> {
    const step = this.#job.step({
      ...clusterInputs(this.#place.cluster, this.#place.namespace),
      ...inputs,
    });
    this.#first ??= step;
    const running = step.main();
    const peakRssMb = watchPeakMemory(running.child);
    const result = await running.done;
    if (result.exitCode !== 0) throw new Error(`the action failed:\n${result.log}`);
    return { ...result, peakRssMb: peakRssMb() };
  }

  /** Name of the builder, as the action reports it. */
  async name(inputs: Readonly<Record<string, string>>): Promise<string> {
    return (await this.build(inputs)).outputs.name ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#first?.post().done;
    this.#job[Symbol.dispose]();
  }
}

/** What a step's log says of the context: bytes of files, and all bytes that went to the pod. */
export function readTransfer(log: string): Pick<Sample, 'bytesSent' | 'wireBytes'> {
  const match = /sent (\d+) bytes of files, (\d+) bytes on the wire/.exec(log);
  return match === null ? {} : { bytesSent: Number(match[1]), wireBytes: Number(match[2]) };
}
