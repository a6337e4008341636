import type { Finding } from './finding.ts';
import { explainRefusal } from './kube-failure.ts';
import type { KubeEvent, Workload } from './kube-objects.ts';

/**
 * What the API server answered when a controller wanted to make the pods or their claims.
 *
 * Deployments and ReplicaSets keep it as a condition; a StatefulSet only tells it in events.
 */
export function refusedPods(
  workloads: readonly Workload[],
  events: readonly KubeEvent[],
  hasPods: boolean,
): Finding[] {
  const conditions = workloads.map((workload) =>
    (workload.status?.conditions ?? []).find(
      ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
    ),
  );
  const failures = events.filter(({ reason }) => reason === 'FailedCreate');
  const messages = [...conditions, ...failures]
    .map((each) => plainRefusal(each?.message ?? ''))
    .filter((message) => message !== '');
  return [...new Set(messages)].map((message) => refusal(message, hasPods));
}

/** What an admission plugin or webhook said, without who wanted to make what. */
function plainRefusal(message: string): string {
  return message
    .replace(/^Error creating: /, '')
    .replace(/^create (?:Claim \S+ )?(?:for )?Pod \S+ in StatefulSet \S+ failed error: /, '')
    .replace(/^(?:pods|persistentvolumeclaims) "[^"]*" is forbidden: /, '');
}

/**
 * A namespace that was just made has no service account for a moment, webhooks may be restarting,
 * and a quota may just have been made.
 */
const passing =
  /serviceaccount .*not found|failed calling webhook|status unknown for quota|context deadline exceeded|connection refused/;

function refusal(message: string, hasPods: boolean): Finding {
  const { code, hint } = explainRefusal(message);
  const severity = hasPods ? 'waiting' : passing.test(message) ? 'stuck' : 'fatal';
  return { severity, code, hint, text: `the cluster does not create the pods: ${message}` };
}
