import { ordinal } from '../shared/ordinal.ts';
import { KubernetesError } from './errors.ts';
import type { Condition, ContainerStatus, Node, Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import { daemonStatus, describeEnd, trueCondition } from './pod-state.ts';

/** What a builder was lost by. */
export type LossKind =
  /** Its container ran out of memory. */
  | 'out-of-memory'
  /** The node or a limit of the pod threw it out: memory or disk. */
  | 'evicted'
  /** It made room for a pod of higher priority. */
  | 'preempted'
  /** Its node is being emptied. */
  | 'drained'
  /** Its node does not answer, shuts down or is gone. */
  | 'node-lost'
  /** The owner that all of the builder hangs on is gone. */
  | 'expired'
  /** Somebody deleted the pod. */
  | 'deleted'
  /** The daemon, or the whole pod, ended otherwise. */
  | 'ended'
  /** Nothing is known of the pod to explain it: it was the connection. */
  | 'connection';

/** `BUILDER_LOST`, and by what. */
export class BuilderLost extends KubernetesError {
  readonly kind: LossKind;
  /** Of the pod that was lost, where that is known. */
  readonly podUid: string | undefined;

  constructor(
    kind: LossKind,
    message: string,
    details: {
      readonly hint?: string | undefined;
      readonly cause?: unknown;
      readonly podUid?: string;
    } = {},
  ) {
    super('BUILDER_LOST', message, details);
    this.kind = kind;
    this.podUid = details.podUid;
  }
}

/** The pod that a connection goes to, as it was when the connection was made. */
export interface ConnectedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly restartCount: number;
  readonly nodeName: string | undefined;
}

/** Notes what tells this run of the daemon from the next one. */
export function connectedPod(namespace: string, pod: Pod): ConnectedPod {
  const { name, uid } = pod.metadata;
  const restartCount = daemonStatus(pod)?.restartCount ?? 0;
  return { namespace, name, uid, restartCount, nodeName: pod.spec?.nodeName };
}

/**
 * How the owner of a builder ended: at the longest life, because no beat reached the cluster, or by
 * somebody's hand.
 */
export type OwnerEnd = 'max-lifetime' | 'silence' | 'removed';

/** What is known of a pod by now. */
export interface Evidence {
  /** As last seen. */
  readonly current: Pod | undefined;
  /** Whether it is no longer there. */
  readonly gone: boolean;
  /** Its node; unset: not known. */
  readonly node?: Node | 'gone' | undefined;
  /** Unset: the owner is there, or there is none. */
  readonly ownerEnd?: OwnerEnd | undefined;
}

/** What has become of the pod, or undefined while it is as it was. */
export function lossOf(connected: ConnectedPod, evidence: Evidence): BuilderLost | undefined {
  const { current, gone } = evidence;
  const isDeleted = current?.metadata.deletionTimestamp !== undefined;
  return (
    failedPod(connected, evidence, isDeleted) ??
    endedContainer(connected, evidence, isDeleted) ??
    (gone ? deletedPod(connected, evidence) : undefined) ??
    lostNode(connected, evidence)
  );
}

/** Why a pod goes that is being deleted, though its daemon may still run. */
export function deletedPod(connected: ConnectedPod, evidence: Evidence): BuilderLost {
  const { name } = connected;
  return (
    expired(connected, evidence) ??
    disrupted(connected, evidence) ??
    lostNode(connected, evidence) ??
    emptiedNode(connected, evidence) ??
    new BuilderLost('deleted', `pod ${name} was deleted`, {
      hint: 'Look who deleted it: a person, a drain of its node, or a clean-up job.',
    })
  );
}

const nodeHint = 'Run the job again, or set retries: the cluster lost the node.';
const drainHint =
  'Set drain-timeout in driver-opts so that drains wait for builds, or set retries to build on another node.';

/** A pod that ended as a whole; one that stops because it is deleted has no reason of its own. */
function failedPod(
  connected: ConnectedPod,
  { current }: Evidence,
  isDeleted: boolean,
): BuilderLost | undefined {
  const { phase, reason, message = '' } = current?.status ?? {};
  if (phase !== 'Failed' || (reason === undefined && isDeleted)) return undefined;
  const { name } = connected;
  const said = message === '' ? '' : `: ${message.trim()}`;
  switch (reason ?? '') {
    case 'Evicted':
      return new BuilderLost(
        'evicted',
        `pod ${name} was evicted from ${nodeOf(connected)}${said}`,
        {
          hint: evictionHint(message),
        },
      );
    case 'Preempting':
      return preempted(connected, said);
    case 'Terminated':
    case 'NodeShutdown':
    case 'Shutdown':
    case 'NodeLost':
      return new BuilderLost('node-lost', `pod ${name} ended with ${nodeOf(connected)}${said}`, {
        hint: nodeHint,
      });
    default: {
      const why = [reason ?? 'failed', message.trim()].filter((part) => part !== '').join(': ');
      return new BuilderLost('ended', `pod ${name} has ended: ${why}`, {
        hint: 'Look at the events of the pod and of its node.',
      });
    }
  }
}

function evictionHint(message: string): string {
  if (/emptydir/i.test(message)) {
    return 'Its state outgrew its volume: raise its size in driver-opts, or limit what buildkitd keeps with [worker.oci] gc in buildkitd-config.';
  }
  if (/exceed/i.test(message)) {
    return 'Raise limits.ephemeral-storage in driver-opts, or limit what buildkitd keeps with [worker.oci] gc in buildkitd-config.';
  }
  if (/ephemeral-storage|disk/i.test(message)) {
    return 'The disk of the node was full: raise requests.ephemeral-storage in driver-opts, or use nodes with larger disks.';
  }
  if (/memory/i.test(message)) {
    return 'The memory of the node was used up: raise requests.memory in driver-opts, so that the pod is not the first to go.';
  }
  return 'Raise requests.* in driver-opts, so that the pod is not the first to go.';
}

function preempted({ name, ...connected }: ConnectedPod, said: string): BuilderLost {
  const message = `pod ${name} on ${nodeOf(connected)} was preempted by a pod of higher priority${said}`;
  return new BuilderLost('preempted', message, {
    hint: 'Give the builder a higher priority by priorityClassName in pod-template, or set retries.',
  });
}

function endedContainer(
  connected: ConnectedPod,
  evidence: Evidence,
  isDeleted: boolean,
): BuilderLost | undefined {
  const { current } = evidence;
  const status = current === undefined ? undefined : daemonStatus(current);
  if (status === undefined) return undefined;
  const restarts = status.restartCount - connected.restartCount;
  const ended =
    status.state?.terminated ?? (restarts > 0 ? status.lastState?.terminated : undefined);
  if (ended === undefined) return undefined;
  const outOfMemory = ended.reason === 'OOMKilled';
  if (isDeleted && !outOfMemory) return deletedPod(connected, evidence);
  const limit = memoryLimit(current);
  const text = `buildkitd in pod ${connected.name} ${describeEnd(ended, limit)}`;
  return new BuilderLost(
    outOfMemory ? 'out-of-memory' : 'ended',
    `${text}${describeRestarts(status, restarts)}`,
    { hint: outOfMemory ? memoryHint(limit) : 'Its log tells why.' },
  );
}

function describeRestarts({ restartCount }: ContainerStatus, since: number): string {
  if (since <= 0) return '';
  return ` and was started again, for the ${ordinal(restartCount)} time`;
}

function memoryHint(limit: string | undefined): string {
  return limit === undefined
    ? 'The node has no more memory: set requests.memory in driver-opts to what the build needs, or lower max-parallelism in buildkitd-config.'
    : 'Raise limits.memory in driver-opts, or lower max-parallelism in buildkitd-config.';
}

function memoryLimit(pod: Pod | undefined): string | undefined {
  const container = pod?.spec?.containers?.find(({ name }) => name === containerName);
  return container?.resources?.limits?.memory;
}

function expired({ name }: ConnectedPod, { ownerEnd }: Evidence): BuilderLost | undefined {
  switch (ownerEnd) {
    case 'max-lifetime':
      return new BuilderLost(
        'expired',
        `the builder reached its max-lifetime, and pod ${name} ended with it`,
        {
          hint: 'Raise max-lifetime.',
        },
      );
    case 'silence':
      return new BuilderLost(
        'expired',
        `the cluster heard nothing of this run for so long that the builder expired, with pod ${name}`,
        {
          hint: 'Look at what keeps this runner from the API server: network, proxy or credentials.',
        },
      );
    case 'removed':
      return new BuilderLost('expired', `the builder was removed, and pod ${name} with it`, {
        hint: 'Look who deleted the owner of the builder: a person, a clean-up job, or the post step that made it.',
      });
    case undefined:
      return undefined;
  }
}

/** Kubernetes notes in a condition why it took a pod. */
function disrupted(connected: ConnectedPod, { current, node }: Evidence): BuilderLost | undefined {
  const target = trueCondition(current, 'DisruptionTarget');
  if (target === undefined) return undefined;
  const { name } = connected;
  const said = (target.message ?? '') === '' ? '' : `: ${target.message ?? ''}`;
  const where = nodeOf(connected);
  switch (target.reason ?? '') {
    case 'PreemptionByScheduler':
      return preempted(connected, said);
    case 'EvictionByEvictionAPI':
      return new BuilderLost('drained', `pod ${name} was drained from ${where}${said}`, {
        hint: drainHint,
      });
    case 'DeletionByTaintManager':
      return (
        lostNode(connected, { current: undefined, gone: true, node }) ??
        new BuilderLost('drained', `pod ${name} was taken from ${where} for a taint${said}`, {
          hint: drainHint,
        })
      );
    case 'DeletionByPodGC':
      return new BuilderLost('node-lost', `${where} of pod ${name} is gone${said}`, {
        hint: nodeHint,
      });
    default:
      return new BuilderLost('evicted', `pod ${name} was evicted from ${where}${said}`, {
        hint: evictionHint(target.message ?? ''),
      });
  }
}

function lostNode(connected: ConnectedPod, { current, node }: Evidence): BuilderLost | undefined {
  const whose = `${nodeOf(connected)} of pod ${connected.name}`;
  if (node === 'gone') {
    return new BuilderLost('node-lost', `${whose} is gone`, { hint: nodeHint });
  }
  const ready = conditionOf(node?.status?.conditions, 'Ready');
  const notReady = ready !== undefined && ready.status !== 'True';
  const noted = conditionOf(current?.status?.conditions, 'Ready')?.reason === 'NodeNotReady';
  if (!notReady && !noted && current?.status?.reason !== 'NodeLost') return undefined;
  const said = notReady && ready.message !== undefined ? `: ${ready.message}` : '';
  return new BuilderLost('node-lost', `${whose} does not answer${said}`, { hint: nodeHint });
}

/** Set by autoscalers and cloud agents on the nodes that they take away. */
const leavingTaints =
  /^(ToBeDeletedByClusterAutoscaler|karpenter\.sh\/(disrupted|disruption)|node\.cloudprovider\.kubernetes\.io\/shutdown|cloud\.google\.com\/impending-node-termination|aws-node-termination-handler\/.*|node\.kubernetes\.io\/(out-of-service|unreachable|not-ready))$/;

function emptiedNode(connected: ConnectedPod, { node }: Evidence): BuilderLost | undefined {
  if (node === undefined || node === 'gone') return undefined;
  const { taints = [], unschedulable = false } = node.spec ?? {};
  const taint = taints.find(({ key }) => leavingTaints.test(key));
  if (taint === undefined && !unschedulable) return undefined;
  const by = taint === undefined ? 'it is cordoned' : `it has the taint ${taint.key}`;
  const message = `pod ${connected.name} was deleted while ${nodeOf(connected)} is being emptied: ${by}`;
  return new BuilderLost('drained', message, { hint: drainHint });
}

function nodeOf({ nodeName }: Pick<ConnectedPod, 'nodeName'>): string {
  return nodeName === undefined ? 'the node' : `node ${nodeName}`;
}

function conditionOf(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((each) => each.type === type);
}
