/** What rootlesskit, runc and containerd say when a node cannot run a builder of some mode. */
const rules: readonly (readonly [RegExp, string])[] = [
  [
    /rootless mode requires to be executed as the mapped root/,
    'mode=rootless needs a rootless image: set image= in driver-opts to one whose tag ends in -rootless, or leave it out.',
  ],
  [
    /newuidmap|newgidmap|\/etc\/sub[ug]id/,
    'mode=rootless needs newuidmap to raise its rights: allow privilege escalation in the pod, or set mode=userns or mode=privileged in driver-opts.',
  ],
  [
    /apparmor|failed to share mount point/i,
    'mode=rootless needs a pod without an AppArmor profile on this node: allow Unconfined, or set mode=userns or mode=privileged in driver-opts.',
  ],
  [
    /user namespaces? (?:is|are) not (?:supported|enabled)|not support(?:ed)? user namespaces?|hostUsers|userns|id-?mapp?(?:ed|ing)?\b.*mount|idmap|max_user_namespaces/i,
    'mode=userns needs Linux 6.3, containerd 2.0 or CRI-O 1.25, and runc 1.2 or crun on the node: choose such nodes, or set mode=rootless or mode=privileged in driver-opts.',
  ],
  [
    /seccomp|rootlesskit.*fork\/exec|fork\/exec \/proc\/self\/exe/i,
    'mode=rootless needs user namespaces on the node and a pod without a seccomp profile: allow Unconfined, or set mode=privileged in driver-opts.',
  ],
  [
    /\[rootlesskit:/,
    'The node does not let BuildKit run rootless: set mode=userns or mode=privileged in driver-opts.',
  ],
];

/** What to change where it is the builder's mode that the node cannot do. */
export function modeHint(said: string): string | undefined {
  return rules.find(([pattern]) => pattern.test(said))?.[1];
}
