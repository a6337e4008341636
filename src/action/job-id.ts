import { randomInt } from 'node:crypto';
import { processHost, writeVariable, type StepHost } from './workflow-commands.ts';

const variable = 'KUBE_BUILDX_JOB_ID';
const podVariable = 'KUBE_BUILDX_POD';
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
const length = 10;

/** Which job this is, and whether another step of it came before. */
export interface JobId {
  readonly jobId: string;
  readonly isLaterStep: boolean;
  /** What `sharePod` was given last, if a step has done so. */
  readonly lastPod: string | undefined;
}

/**
 * The id that all steps of one job share and no other job has.
 *
 * The first step makes it and exports it to the later ones. Ten lower-case letters and digits, fit
 * for names and labels of Kubernetes.
 */
export function shareJobId(host: StepHost = processHost): JobId {
  const shared = host.env[variable] ?? '';
  if (new RegExp(`^[a-z0-9]{${length}}$`).test(shared)) {
    return { jobId: shared, isLaterStep: true, lastPod: host.env[podVariable] };
  }
  const id = Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
  writeVariable(variable, id, host);
  return { jobId: id, isLaterStep: false, lastPod: undefined };
}

/** Tells the later steps of the job which pod this one used. */
export function sharePod(pod: string, host: StepHost = processHost): void {
  if (host.env[podVariable] !== pod) writeVariable(podVariable, pod, host);
}
