import { type Finding, type Severity, type Snapshot, waiting } from './finding.ts';
import type { KubeEvent, Pod } from './kube-objects.ts';
import { modeHint } from './mode-hints.ts';
import { isEnding, isRunning } from './pod-state.ts';
import { scaleUpOf } from './scale-up.ts';

/** What only events tell: pulling, volumes, sandboxes, nodes, autoscalers. */
export function eventFindings(snapshot: Snapshot): Finding[] {
  const news = startEvents(snapshot);
  const scaleUp = scaleUpOf(news);
  return [
    ...news.flatMap(eventFinding),
    ...(scaleUp === undefined ? [] : [scaleUpFinding(scaleUp)]),
  ];
}

const lossReasons = new Set(['Evicted', 'Preempted']);

/**
 * The events that still matter: not those of a pod that runs or is gone by now, but for what it went
 * by, since events stay when what they tell of has passed.
 */
export function startEvents({ events, pods }: Snapshot): KubeEvent[] {
  return events.filter(({ reason = '', involvedObject: { kind, uid, name = '' } }) => {
    const whose =
      kind === 'PersistentVolumeClaim'
        ? pods.filter((pod) => claimsOf(pod).includes(name))
        : pods.filter(({ metadata }) => metadata.uid === uid);
    const isOver = whose.length > 0 && whose.every((pod) => isRunning(pod) || isEnding(pod));
    return !isOver || lossReasons.has(reason);
  });
}

/** Names of the claims that a pod mounts. */
export function claimsOf({ spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
    claim === undefined ? [] : [claim.claimName],
  );
}

function scaleUpFinding({ isComing, message }: { isComing: boolean; message: string }): Finding {
  const said = message.replace(/^pod didn't trigger scale-up: ?/i, '');
  return waiting(`${isComing ? 'a node' : 'no node'} is being added: ${said}`);
}

function eventFinding(event: KubeEvent): Finding[] {
  const message = withoutIds(event.message ?? '');
  switch (event.reason ?? '') {
    case 'Pulling':
      return [waiting(`pulling image ${/"([^"]+)"/.exec(message)?.[1] ?? ''}`.trim())];
    case 'FailedBinding':
    case 'ProvisioningFailed':
      return [claimFinding(event.involvedObject.name ?? '', message)];
    case 'ExternalProvisioning':
      return [waiting(`a volume is being made for claim ${event.involvedObject.name ?? ''}`)];
    case 'FailedAttachVolume':
    case 'FailedMount':
    case 'FailedMapVolume':
      return isFirstSync(event) ? [] : [mountFinding(message)];
    case 'FailedCreatePodSandBox':
      return [sandboxFinding(message)];
    case 'NodeNotReady':
    case 'NetworkNotReady':
      return [
        waiting(`the node of pod ${event.involvedObject.name ?? ''} is not ready: ${message}`),
      ];
    default:
      return lossReasons.has(event.reason ?? '')
        ? [waiting(`${event.reason ?? ''}: ${message}`)]
        : [];
  }
}

/** A node that is busy has not read our Secret yet when it first tries, and tries again in a moment. */
function isFirstSync({ message = '', count = 1 }: KubeEvent): boolean {
  return count < 3 && /failed to sync (?:secret|configmap) cache/.test(message);
}

/** Each try has new ones, and would be told as if it were news. */
function withoutIds(message: string): string {
  return message.replace(/\b[0-9a-f]{64}\b/g, '…').replace(/ \(UID [^)]*\)/g, '');
}

interface Rule {
  readonly pattern: RegExp;
  readonly severity: Severity;
  readonly hint: string;
}

const claimRules: readonly Rule[] = [
  {
    pattern: /storageclass\S* "[^"]*" not found/i,
    severity: 'fatal',
    hint: 'Set persistent-volume-claim.storage-class in driver-opts to a class of this cluster.',
  },
  {
    pattern: /no storage class is set/,
    severity: 'stuck',
    hint: 'The cluster has no default class: set persistent-volume-claim.storage-class in driver-opts.',
  },
  {
    pattern: /quota|InvalidArgument|invalid|PermissionDenied|unauthori[sz]ed|forbidden/i,
    severity: 'stuck',
    hint: 'Check persistent-volume-claim.* in driver-opts against what the storage class offers.',
  },
];

function claimFinding(claim: string, message: string): Finding {
  const rule = claimRules.find(({ pattern }) => pattern.test(message));
  return {
    severity: rule?.severity ?? 'waiting',
    code: 'BUILDER_VOLUME',
    text: `volume claim ${claim} gets no volume: ${message}`,
    hint: rule?.hint ?? 'Look at the provisioner of the storage class.',
  };
}

/** Volumes are tried again and again, and Kubernetes itself lets go of a lost node's after minutes. */
function mountFinding(message: string): Finding {
  const isElsewhere = message.includes('Multi-Attach error');
  const volume = /volume "([^"]+)"/.exec(message)?.[1] ?? '';
  const missing = /(secret|configmap|persistentvolumeclaim) "([^"]+)" not found/.exec(message);
  return {
    severity: 'waiting',
    code: 'BUILDER_VOLUME',
    text: isElsewhere
      ? `volume ${volume} is still attached to another node: ${message}`
      : `a volume cannot be mounted: ${message}`,
    hint: isElsewhere
      ? 'Another pod uses it, or its node was lost; Kubernetes lets go of the latter after six minutes: raise timeout= in driver-opts.'
      : missing === null
        ? 'Look at the storage driver of the cluster on that node.'
        : `Create the ${missing[1] ?? ''} ${missing[2] ?? ''} in the namespace, or correct pod-template.`,
  };
}

function sandboxFinding(message: string): Finding {
  const hint = modeHint(message);
  return {
    severity: hint === undefined ? 'waiting' : 'stuck',
    code: hint === undefined ? 'BUILDER_TIMEOUT' : 'BUILDER_CRASHED',
    text: `the node cannot make the sandbox of the pod: ${message}`,
    hint: hint ?? 'Look at the network plugin and the container runtime of that node.',
  };
}
