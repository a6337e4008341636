import type { V1SecurityContext } from '@kubernetes/client-node';
import type { PodMode } from '../builder-spec.ts';
import { containerName } from './labels.ts';

/** What the daemon needs of its pod in one mode, and where it has its things there. */
export interface ModeSettings {
  /** Where the daemon keeps its state. */
  readonly stateFolder: string;
  /** Its own address, which it must be told as soon as it is told any. */
  readonly socket: string;
  readonly securityContext: V1SecurityContext;
  /** Unset: as the cluster has it, which is yes. */
  readonly hostUsers: false | undefined;
  readonly podAnnotations: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  /** Whether the daemon looks for its configuration where we put it. */
  readonly findsConfig: boolean;
  /** Who must own the state folder, where it is not root. */
  readonly userId: number | undefined;
}

const ofRoot = {
  stateFolder: '/var/lib/buildkit',
  socket: 'unix:///run/buildkit/buildkitd.sock',
  securityContext: { privileged: true },
  podAnnotations: {},
  flags: [],
  findsConfig: true,
  userId: undefined,
} as const;

/** Of BuildKit's rootless image; it has ranges of subordinate ids for this one alone. */
const rootlessUser = 1000;

const settings: Readonly<Record<PodMode, ModeSettings>> = {
  privileged: { ...ofRoot, hostUsers: undefined },
  // Privileged within the pod's own user namespace only.
  userns: { ...ofRoot, hostUsers: false },
  rootless: {
    stateFolder: '/home/user/.local/share/buildkit',
    socket: `unix:///run/user/${rootlessUser}/buildkit/buildkitd.sock`,
    securityContext: {
      runAsUser: rootlessUser,
      runAsGroup: rootlessUser,
      // The default profiles forbid to unshare namespaces and to mount in them.
      seccompProfile: { type: 'Unconfined' },
      appArmorProfile: { type: 'Unconfined' },
    },
    hostUsers: undefined,
    // Servers before Kubernetes 1.30 do not know the field.
    podAnnotations: {
      [`container.apparmor.security.beta.kubernetes.io/${containerName}`]: 'unconfined',
    },
    // A step cannot have a /proc of its own where that of the container is masked.
    flags: ['--oci-worker-no-process-sandbox'],
    findsConfig: false,
    userId: rootlessUser,
  },
};

/** Follows `docs/rootless.md` and `examples/kubernetes` of moby/buildkit. */
export function settingsOf(mode: PodMode): ModeSettings {
  return settings[mode];
}
