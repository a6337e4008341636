import { randomInt } from 'node:crypto';
import { processHost, writeVariable, type StepHost } from './workflow-commands.ts';

const variable = 'KUBE_BUILDX_JOB_ID';
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
const length = 10;

/**
 * The id that all steps of one job share and no other job has.
 *
 * The first step makes it and exports it to the later ones. Ten lower-case letters and digits, fit
 * for names and labels of Kubernetes.
 */
export function shareJobId(host: StepHost = processHost): string {
  const shared = host.env[variable] ?? '';
  if (new RegExp(`^[a-z0-9]{${length}}$`).test(shared)) return shared;
  const id = Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
  writeVariable(variable, id, host);
  return id;
}
