import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { PodMode } from '../builder-spec.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import { explainRefusal } from '../kube-failure.ts';
import { tryPod, type Verdict } from './admission.ts';

/** Words of the server, and what to change. */
const hints: readonly (readonly [RegExp, string])[] = [
  [
    /error looking up service account/,
    'Create that service account, or correct serviceaccount in driver-opts.',
  ],
  [/PriorityClass|RuntimeClass/, 'Correct the name in pod-template.'],
  [/hostUsers/, 'Set mode=rootless or mode=privileged in driver-opts.'],
];

/** The error for pods that a namespace refuses, with the modes that it would take. */
export async function refusedPods(
  client: KubeClient,
  input: {
    readonly namespace: string;
    readonly name: string;
    readonly mode: PodMode;
    readonly podFor: (mode: PodMode) => V1PodTemplateSpec;
    readonly verdict: Verdict & { readonly kind: 'refused' };
  },
  signal: AbortSignal,
): Promise<KubernetesError> {
  const { namespace, name, mode, podFor, verdict } = input;
  const { reason, cause } = verdict;
  const others = (['userns', 'rootless', 'privileged'] as const).filter((each) => each !== mode);
  const trials = /PodSecurity|security context|hostUsers/.test(reason)
    ? await Promise.all(
        others.map(async (each) => ({
          each,
          verdict: await tryPod(client, { namespace, name, pod: podFor(each) }, signal),
        })),
      )
    : [];
  const taken = trials.flatMap((trial) => (trial.verdict.kind === 'accepted' ? [trial.each] : []));
  const alternative =
    taken.length === 0
      ? ''
      : `It takes ${taken.map((each) => `mode=${each}`).join(' and ')}: set that in driver-opts. Or: `;
  const { code, hint } = explainRefusal(reason);
  const known = hints.find(([pattern]) => pattern.test(reason))?.[1];
  const invalid = cause.httpStatus === 422 ? 'Correct driver-opts or pod-template.' : undefined;
  return new KubernetesError(
    code,
    `namespace "${namespace}" does not take the pods (mode=${mode}): ${reason}`,
    { hint: `${alternative}${known ?? invalid ?? hint}`, httpStatus: cause.httpStatus },
  );
}
