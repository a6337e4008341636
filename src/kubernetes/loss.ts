import { KubernetesError } from './errors.ts';
import { daemonStatus, describeEnd } from './pod-state.ts';
import type { KubeClient } from './kube-client.ts';
import { isNotFound } from './kube-failure.ts';
import type { ContainerStatus, KubeEvent, Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';

/** The pod that a connection goes to, as it was when the connection was made. */
export interface ConnectedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly restartCount: number;
}

/** Notes what tells this run of the daemon from the next one. */
export function connectedPod(namespace: string, pod: Pod): ConnectedPod {
  const { name, uid } = pod.metadata;
  return { namespace, name, uid, restartCount: daemonStatus(pod)?.restartCount ?? 0 };
}

/**
 * What has become of the pod, or undefined while it is as it was.
 *
 * `current`: the pod as last seen; `gone`: whether it is no longer there. Pure.
 */
export function lossOf(
  connected: ConnectedPod,
  seen: { readonly current: Pod | undefined; readonly gone: boolean },
): KubernetesError | undefined {
  const { current, gone } = seen;
  const status = current === undefined ? undefined : daemonStatus(current);
  const ended = endOf(connected, current, status);
  if (ended !== undefined) return ended;
  if (gone) return lost(`pod ${connected.name} was deleted${reasonOf(current)}`, deletedHint);
  const ready = (current?.status?.conditions ?? []).find(({ type }) => type === 'Ready');
  if (ready?.reason === 'NodeNotReady' || current?.status?.reason === 'NodeLost') {
    const node = current?.spec?.nodeName ?? 'of the pod';
    return lost(`node ${node} of pod ${connected.name} does not answer`, infrastructureHint);
  }
  return undefined;
}

/** Why a connection ended. */
export interface Explanation {
  /** Always `BUILDER_LOST`. */
  readonly error: KubernetesError;
  /** Whether the cluster shows the reason, rather than not (yet). */
  readonly explained: boolean;
}

/**
 * Finds out why a connection ended, reading the pod and its events anew.
 *
 * `cause` is what the connection itself said. Never throws but for the signal: what cannot be read
 * is left out.
 */
export async function explainLoss(
  client: KubeClient,
  connected: ConnectedPod,
  options: {
    readonly lastSeen: Pod | undefined;
    readonly cause: unknown;
    readonly signal: AbortSignal;
  },
): Promise<Explanation> {
  const { namespace, name, uid } = connected;
  const { cause, signal } = options;
  const selection = { namespace, fieldSelector: `involvedObject.uid=${uid}` };
  const [now, events] = await Promise.all([
    readPod(client, connected, signal),
    client.list('events', selection, signal).then(
      ({ items }) => items,
      () => [],
    ),
  ]);
  signal.throwIfAborted();
  const current = now.pod ?? options.lastSeen;
  const found = lossOf(connected, { current, gone: now.gone });
  const said = eventReason(events);
  if (found !== undefined) {
    const addition = said === undefined || found.message.includes(said) ? '' : ` (${said})`;
    const error = lost(`${found.message}${addition}`, found.hint, cause);
    return { error, explained: true };
  }
  if (current?.metadata.deletionTimestamp !== undefined) {
    const because = said === undefined ? reasonOf(current) : ` (${said})`;
    const error = lost(`pod ${name} is being deleted${because}`, deletedHint, cause);
    return { error, explained: true };
  }
  const message =
    now.pod === undefined
      ? `the connection to pod ${name} was cut, and the pod cannot be read`
      : `pod ${name} is still running: the connection was cut`;
  return { error: lost(message, connectionHint, cause), explained: false };
}

const deletedHint = 'Look who deleted it: a person, a drain of its node, or a clean-up job.';
const infrastructureHint = 'Run the job again; the cluster lost the node.';
const connectionHint =
  'Look at what is between this runner and the API server: load balancers and proxies with idle limits.';

async function readPod(
  client: KubeClient,
  { namespace, name, uid }: ConnectedPod,
  signal: AbortSignal,
): Promise<{ readonly pod: Pod | undefined; readonly gone: boolean }> {
  try {
    const { object } = await client.get('pods', { namespace, name }, signal);
    const same = object.metadata.uid === uid;
    return { pod: same ? object : undefined, gone: !same };
  } catch (thrown) {
    return { pod: undefined, gone: isNotFound(thrown) };
  }
}

function endOf(
  connected: ConnectedPod,
  pod: Pod | undefined,
  status: ContainerStatus | undefined,
): KubernetesError | undefined {
  const { name } = connected;
  const deleted = pod?.metadata.deletionTimestamp !== undefined;
  const noted = pod?.status?.reason !== undefined;
  // What stops because its pod is deleted ends as failed too, but with no reason of its own.
  if (pod?.status?.phase === 'Failed' && (noted || !deleted)) {
    const { reason = 'failed', message = '' } = pod.status;
    const hint =
      reason === 'Evicted'
        ? 'Raise requests.* in driver-opts, so that the pod is not the first to go.'
        : infrastructureHint;
    return lost(`pod ${name} has ended: ${[reason, message].filter(Boolean).join(': ')}`, hint);
  }
  const restarted = status !== undefined && status.restartCount > connected.restartCount;
  const ended = status?.state?.terminated ?? (restarted ? status.lastState?.terminated : undefined);
  if (ended === undefined) return undefined;
  if (deleted && ended.reason !== 'OOMKilled') {
    return lost(`pod ${name} was deleted${reasonOf(pod)}`, deletedHint);
  }
  const text = `buildkitd in pod ${name} ${describeEnd(ended, memoryLimit(pod))}`;
  const outOfMemory = ended.reason === 'OOMKilled';
  return lost(
    `${text}${restarted ? ' and was started again' : ''}`,
    outOfMemory
      ? 'Raise limits.memory in driver-opts, or lower max-parallelism in buildkitd-config.'
      : 'Its log tells why.',
  );
}

function memoryLimit(pod: Pod | undefined): string | undefined {
  const container = pod?.spec?.containers?.find(({ name }) => name === containerName);
  return container?.resources?.limits?.memory;
}

/** Kubernetes notes here why it took a pod: eviction, preemption, taints, garbage collection. */
function reasonOf(pod: Pod | undefined): string {
  const target = (pod?.status?.conditions ?? []).find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  return target === undefined ? '' : `: ${target.message ?? target.reason ?? ''}`;
}

const tellingEvents = new Set([
  'Evicted',
  'Preempted',
  'NodeNotReady',
  'TaintManagerEviction',
  'OOMKilling',
  'ExceededGracePeriod',
  'NodeShutdown',
]);

function eventReason(events: readonly KubeEvent[]): string | undefined {
  const telling = events.filter(({ reason }) => tellingEvents.has(reason ?? '')).at(-1);
  return telling === undefined ? undefined : `${telling.reason ?? ''}: ${telling.message ?? ''}`;
}

function lost(message: string, hint: string | undefined, cause?: unknown): KubernetesError {
  return new KubernetesError('BUILDER_LOST', message, { hint, cause });
}
