/** `mode: auto`: the least privileged way to run the daemon that works here. */
import type { V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { PodMode } from './builder-spec.ts';
import { KubernetesError } from './errors.ts';
import type { KubeClient } from './kube-client.ts';
import type { Node } from './kube-objects.ts';
import { tryPod, type Verdict } from './preflight/admission.ts';
import { nodesFor } from './preflight/nodes.ts';
import { optionally } from './preflight/optionally.ts';

/** From the least privileged to the most. */
const modesByPrivilege = ['userns', 'rootless', 'privileged'] as const satisfies readonly PodMode[];

/** Enough to know the kinds of nodes there are. */
const nodesLookedAt = 100;

/** The mode that `auto` came to. */
export interface ModeChoice {
  readonly mode: PodMode;
  /** One sentence. */
  readonly reason: string;
  /** What the pods are by the server, with its defaults. */
  readonly pod: V1PodSpec;
}

/** What was learnt about each mode. */
export interface ModeTrials {
  readonly verdicts: Readonly<Record<PodMode, Verdict>>;
  /** Those that may get the pods; unset where nodes may not be read. */
  readonly nodes: readonly Node[] | undefined;
  /** As it was tried. */
  readonly pods: Readonly<Record<PodMode, V1PodTemplateSpec>>;
}

export interface ModeQuestion {
  readonly namespace: string;
  /** Of the workload. */
  readonly name: string;
  /** The pods of the builder in a mode. */
  readonly podFor: (mode: PodMode) => V1PodTemplateSpec;
}

/**
 * Finds the first of userns, rootless and privileged that admission takes and the nodes can run.
 *
 * Throws `BUILDER_REFUSED` when there is none, with what was said of each.
 */
export async function leastPrivilegedMode(
  client: KubeClient,
  question: ModeQuestion,
  signal: AbortSignal,
): Promise<ModeChoice> {
  return chooseMode(await tryModes(client, question, signal), question.namespace);
}

/** Asks about all modes at once. */
export async function tryModes(
  client: KubeClient,
  { namespace, name, podFor }: ModeQuestion,
  signal: AbortSignal,
): Promise<ModeTrials> {
  const pods = {
    userns: podFor('userns'),
    rootless: podFor('rootless'),
    privileged: podFor('privileged'),
  };
  const ask = (mode: PodMode): Promise<Verdict> =>
    tryPod(client, { namespace, name, pod: pods[mode] }, signal);
  const pod = pods.userns.spec ?? { containers: [] };
  const [userns, rootless, privileged, nodes] = await Promise.all([
    ask('userns'),
    ask('rootless'),
    ask('privileged'),
    optionally((limited) => nodesFor(client, { pod, limit: nodesLookedAt }, limited), signal),
  ]);
  return { verdicts: { userns, rootless, privileged }, nodes, pods };
}

/** Throws `BUILDER_REFUSED` when nothing is known to work. */
export function chooseMode(trials: ModeTrials, namespace: string): ModeChoice {
  const passedOver: string[] = [];
  for (const mode of modesByPrivilege) {
    const verdict = trials.verdicts[mode];
    const { works, why } = mode === 'userns' ? judgeNodes(trials) : taken;
    if (verdict.kind === 'accepted' && works) {
      const others = passedOver.map((each) => `; not ${each}`).join('');
      return { mode, reason: `Mode ${mode}: ${why}${others}`, pod: verdict.spec };
    }
    passedOver.push(`${mode}: ${verdict.kind === 'accepted' ? why : verdict.reason}`);
  }
  throw new KubernetesError(
    'BUILDER_REFUSED',
    `no mode is known to work in namespace "${namespace}": ${passedOver.join('; ')}`,
    {
      hint: 'Choose another namespace= in driver-opts, have this one take one of the modes or, if only the trial fails, set mode= yourself.',
    },
  );
}

const taken = { works: true, why: 'the namespace takes it' };

/** Whether every node that may get the pod can give it a user namespace of its own. */
function judgeNodes({ nodes, pods }: ModeTrials): {
  readonly works: boolean;
  readonly why: string;
} {
  if (nodes === undefined) {
    return { works: true, why: 'the namespace takes it; nodes cannot be read, so it is tried' };
  }
  if (nodes.length === 0) {
    return { works: true, why: 'the namespace takes it; no node is there yet, so it is tried' };
  }
  const anyHandler = pods.userns.spec?.runtimeClassName !== undefined;
  const unable = nodes.filter((node) => !hasUserNamespaces(node, anyHandler));
  if (unable.length === 0) {
    return { works: true, why: 'the namespace takes it, and its nodes have user namespaces' };
  }
  const [first] = unable;
  const name = first?.metadata.name ?? '';
  return {
    works: false,
    why: `${unable.length} of ${nodes.length} nodes, such as ${name}, have no user namespaces for pods`,
  };
}

/** The handler without a name is that of pods without a runtime class. */
function hasUserNamespaces({ status }: Node, anyHandler: boolean): boolean {
  return (status?.runtimeHandlers ?? []).some(
    ({ name = '', features }) => (anyHandler || name === '') && features?.userNamespaces === true,
  );
}
