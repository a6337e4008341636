/** Why nodes do not take a pod, in few words. */
export interface SchedulingProblem {
  /** Such as `0/2 nodes: 1 wrong architecture, 1 not enough memory`. */
  readonly text: string;
  /**
   * Whether waiting cannot help unless somebody adds or changes nodes: no node was ruled out only
   * for lack of room.
   */
  readonly permanent: boolean;
}

interface Rule {
  readonly pattern: RegExp;
  readonly text: string | ((match: RegExpExecArray) => string);
  readonly permanent: boolean;
}

/** The scheduler's phrases, newest and older ones, each after the number of nodes. */
const rules: readonly Rule[] = [
  {
    pattern:
      /^node\(s\) didn't match Pod's node affinity(\/selector)?|^node\(s\) didn't match node selector/,
    text: 'wrong architecture',
    permanent: true,
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
];

/**
 * Condenses the message of `FailedScheduling` or of the condition `PodScheduled`.
 *
 * `selectsArchitecture`: whether the pod asks for one; else a mismatch is about the operating system.
 */
export function condenseScheduling(
  message: string,
  selectsArchitecture: boolean,
): SchedulingProblem {
  if (message.includes('no nodes available')) {
    return { text: 'the cluster has no nodes', permanent: true };
  }
  const match = /^(\d+\/\d+) nodes are available: (.*)$/s.exec(message.trim());
  if (match === null) return { text: message.trim(), permanent: false };
  // What follows is about pods that could be preempted, and repeats the same nodes.
  const reasons = (match[2] ?? '').split(/\.\s*(?:preemption:|no new claims|$)/)[0] ?? '';
  const parts = splitReasons(reasons).map((part) => condensePart(part, selectsArchitecture));
  if (parts.length === 0) return { text: message.trim(), permanent: false };
  const nodes = `${match[1] ?? ''} nodes`;
  return {
    text: `${nodes}: ${parts.map(({ text }) => text).join(', ')}`,
    permanent: parts.every(({ permanent }) => permanent),
  };
}

/** Reasons are separated by commas, which also occur within the braces of a taint. */
function splitReasons(text: string): string[] {
  return text
    .split(/,\s+(?=\d+\s)/)
    .map((part) => part.trim().replace(/\.$/, ''))
    .filter((part) => part !== '');
}

function condensePart(part: string, selectsArchitecture: boolean): SchedulingProblem {
  const [, count = '', reason = part] = /^(\d+)\s+(.*)$/s.exec(part) ?? [];
  for (const rule of rules) {
    const match = rule.pattern.exec(reason);
    if (match === null) continue;
    const isSystem = rule === rules[0] && !selectsArchitecture;
    const text = typeof rule.text === 'string' ? rule.text : rule.text(match);
    return {
      text: `${count} ${isSystem ? 'wrong operating system' : text}`.trim(),
      permanent: rule.permanent,
    };
  }
  return { text: `${count} ${reason}`.trim(), permanent: false };
}
