import type { KubeClient } from './kube-client.ts';
import { isNotFound } from './kube-failure.ts';
import type { Job, KubeEvent, Node, Pod } from './kube-objects.ts';
import {
  BuilderLost,
  type ConnectedPod,
  deletedPod,
  type Evidence,
  lossOf,
  type OwnerEnd,
} from './loss.ts';

/** With the stream the API server may have gone, too. */
const readTimeoutMs = 5_000;

/** The Job that a builder hangs on. */
export interface BuilderOwner {
  readonly name: string;
  /** Whether its last deadline has passed, and which one that was. */
  readonly expiry: () => Exclude<OwnerEnd, 'removed'> | undefined;
}

/** Why a connection ended. */
export interface Explanation {
  readonly error: BuilderLost;
  /** Whether the cluster shows the reason, rather than not (yet). */
  readonly explained: boolean;
}

export interface PostMortemOptions {
  readonly lastSeen: Pod | undefined;
  /** What the connection itself said. */
  readonly cause: unknown;
  readonly signal: AbortSignal;
  /** Unset: the builder has none that expires. */
  readonly owner?: BuilderOwner | undefined;
  /** What the build was at, such as `[2/3] RUN make`. */
  readonly step?: string | undefined;
  /** Whether the pod fell silent, rather than closed its connection. */
  readonly isSilent?: boolean;
}

/**
 * Finds out why a connection ended, reading the pod, its events, its node and its owner anew.
 *
 * Never throws but for the signal: what cannot be read within 5 s is left out.
 */
export async function explainLoss(
  client: KubeClient,
  connected: ConnectedPod,
  options: PostMortemOptions,
): Promise<Explanation> {
  const { signal, cause, step } = options;
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(readTimeoutMs)]);
  const [now, events, node, ownerEnd] = await Promise.all([
    readPod(client, connected, inTime),
    readEvents(client, connected, inTime),
    readNode(client, connected, inTime),
    readOwnerEnd(client, connected, { owner: options.owner, signal: inTime }),
  ]);
  signal.throwIfAborted();
  const evidence = { current: now.pod ?? options.lastSeen, gone: now.gone, node, ownerEnd };
  const found = lossOf(connected, evidence) ?? beingDeleted(connected, evidence);
  const error = found === undefined ? cutOff(connected, now, options) : withEvents(found, events);
  const during = step === undefined ? '' : `, while ${step} ran`;
  return {
    error: new BuilderLost(error.kind, `${error.message}${during}`, {
      hint: error.hint,
      cause,
      podUid: connected.uid,
    }),
    explained: found !== undefined,
  };
}

function beingDeleted(connected: ConnectedPod, evidence: Evidence): BuilderLost | undefined {
  if (evidence.current?.metadata.deletionTimestamp === undefined) return undefined;
  const found = deletedPod(connected, evidence);
  if (found.kind !== 'deleted') return found;
  return new BuilderLost('deleted', `pod ${connected.name} is being deleted`, { hint: found.hint });
}

const connectionHint =
  'Look at what is between this runner and the API server: load balancers and proxies with idle limits.';

function cutOff(
  { name, nodeName }: ConnectedPod,
  now: { readonly pod: Pod | undefined },
  { isSilent = false }: PostMortemOptions,
): BuilderLost {
  if (isSilent) {
    const where = nodeName === undefined ? '' : ` on node ${nodeName}`;
    const known = now.pod === undefined ? '' : ', though the cluster still takes it for running';
    return new BuilderLost('node-lost', `pod ${name}${where} does not answer any more${known}`, {
      hint: 'Look at the node: it may be lost, or out of memory.',
    });
  }
  const message =
    now.pod === undefined
      ? `the connection to pod ${name} was cut, and the pod cannot be read`
      : `pod ${name} is still running: the connection was cut`;
  return new BuilderLost('connection', message, { hint: connectionHint });
}

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

async function readEvents(
  client: KubeClient,
  { namespace, uid }: ConnectedPod,
  signal: AbortSignal,
): Promise<readonly KubeEvent[]> {
  const selection = { namespace, fieldSelector: `involvedObject.uid=${uid}` };
  return client.list('events', selection, signal).then(
    ({ items }) => items,
    () => [],
  );
}

async function readNode(
  client: KubeClient,
  { nodeName }: ConnectedPod,
  signal: AbortSignal,
): Promise<Node | 'gone' | undefined> {
  if (nodeName === undefined) return undefined;
  return client
    .getNode(nodeName, signal)
    .catch((thrown: unknown) => (isNotFound(thrown) ? 'gone' : undefined));
}

async function readOwnerEnd(
  client: KubeClient,
  { namespace }: ConnectedPod,
  { owner, signal }: Pick<PostMortemOptions, 'owner' | 'signal'>,
): Promise<OwnerEnd | undefined> {
  if (owner === undefined) return undefined;
  const ended = await client
    .get('jobs', { namespace, name: owner.name }, signal)
    .then(({ object }) => hasEnded(object), isNotFound);
  return ended ? (owner.expiry() ?? 'removed') : undefined;
}

function hasEnded({ metadata, status }: Job): boolean {
  const failed = (status?.conditions ?? []).some(
    (each) => each.type === 'Failed' && each.status === 'True',
  );
  return failed || metadata.deletionTimestamp !== undefined;
}

const tellingEvents = new Set([
  'Evicted',
  'EvictedByVPA',
  'ExceededGracePeriod',
  'NodeNotReady',
  'NodeShutdown',
  'OOMKilling',
  'Preempted',
  'ScaleDown',
  'TaintManagerEviction',
]);

/** Adds what an event tells that the objects do not. */
function withEvents(found: BuilderLost, events: readonly KubeEvent[]): BuilderLost {
  const telling = events
    .filter(
      ({ reason = '', message = '' }) => tellingEvents.has(reason) && !message.startsWith('Cancel'),
    )
    .at(-1);
  const message = telling?.message ?? '';
  if (telling === undefined || found.message.includes(message)) return found;
  const isDrain = found.kind === 'deleted' && telling.reason === 'ScaleDown';
  return new BuilderLost(
    isDrain ? 'drained' : found.kind,
    `${found.message} (${telling.reason ?? ''}: ${message})`,
    { hint: found.hint },
  );
}
