/** Why nodes do not take a pod, in few words. */
export interface SchedulingProblem {
  /** Such as `0/2 nodes: 1 wrong architecture, 1 not enough memory`. */
  readonly text: string;
  /**
   * Whether waiting cannot help unless somebody adds or changes nodes: no node was ruled out only
   * for lack of room.
   */
  readonly permanent: boolean;
  /** Whether it is the volumes of the pod that are in the way, rather than the nodes. */
  readonly isAboutVolumes: boolean;
}

interface Rule {
  readonly pattern: RegExp;
  readonly text: string | ((match: RegExpExecArray) => string);
  readonly permanent: boolean;
  readonly isAboutVolumes?: boolean;
}

/** The node lacks a label that the pod asks for; which one, the scheduler does not say. */
const mismatchRule: Rule = {
  pattern:
    /^node\(s\) didn't match Pod's node affinity(\/selector)?|^node\(s\) didn't match node selector/,
  text: 'not matching',
  permanent: true,
};

/** The scheduler's phrases, newest and older ones, each after the number of nodes. */
const rules: readonly Rule[] = [
  mismatchRule,
  {
    // The taints of nodes that are on their way, or will recover.
    pattern:
      /^node\(s\) had (?:untolerated )?taints?(?:\(s\))?\s*\{(?:node\.kubernetes\.io\/(?:not-ready|unreachable|network-unavailable)|node\.cloudprovider\.kubernetes\.io\/uninitialized|node\.cilium\.io\/agent-not-ready|karpenter\.sh\/unregistered)[^}]*\}/,
    text: 'not ready',
    permanent: false,
  },
  {
    pattern:
      /^node\(s\) had (?:untolerated )?taints?(?:\(s\))?\s*\{node\.kubernetes\.io\/(memory|disk|pid)-pressure[^}]*\}/,
    text: (match) => `short of ${match[1] ?? ''}`,
    permanent: false,
  },
  {
    pattern: /^node\(s\) had (?:untolerated )?taints?(?:\(s\))?\s*(\{[^}]*\})?/,
    text: (match) => `tainted ${match[1] ?? ''}`.trim(),
    permanent: true,
  },
  { pattern: /^node\(s\) were unschedulable/, text: 'cordoned', permanent: true },
  { pattern: /^node\(s\) were not ready/, text: 'not ready', permanent: false },
  { pattern: /^Insufficient cpu/, text: 'not enough CPU', permanent: false },
  { pattern: /^Insufficient memory/, text: 'not enough memory', permanent: false },
  {
    pattern: /^Insufficient ephemeral-storage/,
    text: 'not enough ephemeral storage',
    permanent: false,
  },
  {
    pattern: /^Insufficient (\S+)/,
    text: (match) => `not enough ${match[1] ?? ''}`,
    permanent: false,
  },
  { pattern: /^Too many pods/, text: 'too many pods', permanent: false },
  {
    pattern: /^node\(s\) had volume node affinity conflict/,
    text: 'cannot reach the volume',
    permanent: true,
    isAboutVolumes: true,
  },
  {
    pattern: /^node\(s\) didn't find available persistent volumes to bind/,
    text: 'without a volume for the claim',
    permanent: true,
    isAboutVolumes: true,
  },
  {
    pattern: /^node\(s\) exceed max volume count/,
    text: 'with too many volumes',
    permanent: false,
    isAboutVolumes: true,
  },
];

/** Said of the pod itself, in place of the nodes. */
const volumeReasons: readonly Rule[] = [
  {
    pattern: /unbound immediate PersistentVolumeClaims/i,
    text: 'its volume claim has no volume yet',
    permanent: false,
  },
  {
    pattern: /storageclass\S* "([^"]*)" not found/i,
    text: (match) => `there is no storage class ${match[1] ?? ''}`,
    permanent: true,
  },
  {
    pattern: /persistentvolumeclaim "([^"]*)" not found/i,
    text: (match) => `there is no volume claim ${match[1] ?? ''}`,
    permanent: false,
  },
];

/**
 * Condenses the message of `FailedScheduling` or of the condition `PodScheduled`.
 *
 * `mismatch`: what to call it when a node is not one of those that the pod asks for.
 */
export function condenseScheduling(message: string, mismatch: string): SchedulingProblem {
  if (message.includes('no nodes available')) {
    return { text: 'the cluster has no nodes', permanent: true, isAboutVolumes: false };
  }
  for (const rule of volumeReasons) {
    const match = rule.pattern.exec(message);
    if (match === null) continue;
    return { text: textOf(rule, match), permanent: rule.permanent, isAboutVolumes: true };
  }
  const match = /^(\d+\/\d+) nodes are available: (.*)$/s.exec(message.trim());
  const unknown = { text: message.trim(), permanent: false, isAboutVolumes: false };
  if (match === null) return unknown;
  // What follows is about pods that could be preempted, and repeats the same nodes.
  const reasons = (match[2] ?? '').split(/\.\s*(?:preemption:|no new claims|$)/)[0] ?? '';
  const parts = splitReasons(reasons).map((part) => condensePart(part, mismatch));
  if (parts.length === 0) return unknown;
  const nodes = `${match[1] ?? ''} nodes`;
  return {
    text: `${nodes}: ${parts.map(({ text }) => text).join(', ')}`,
    permanent: parts.every(({ permanent }) => permanent),
    isAboutVolumes: parts.some((part) => part.isAboutVolumes),
  };
}

/** Reasons are separated by commas, which also occur within the braces of a taint. */
function splitReasons(text: string): string[] {
  return text
    .split(/,\s+(?=\d+\s)/)
    .map((part) => part.trim().replace(/\.$/, ''))
    .filter((part) => part !== '');
}

function condensePart(part: string, mismatch: string): SchedulingProblem {
  const [, count = '', reason = part] = /^(\d+)\s+(.*)$/s.exec(part) ?? [];
  for (const rule of rules) {
    const match = rule.pattern.exec(reason);
    if (match === null) continue;
    const text = rule === mismatchRule ? mismatch : textOf(rule, match);
    return {
      text: `${count} ${text}`.trim(),
      permanent: rule.permanent,
      isAboutVolumes: rule.isAboutVolumes ?? false,
    };
  }
  return { text: `${count} ${reason}`.trim(), permanent: false, isAboutVolumes: false };
}

function textOf(rule: Rule, match: RegExpExecArray): string {
  return typeof rule.text === 'string' ? rule.text : rule.text(match);
}
