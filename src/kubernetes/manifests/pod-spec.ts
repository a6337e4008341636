import type { V1PodSpec } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { daemonContainer } from './daemon-container.ts';
import { initContainers } from './init-containers.ts';
import { settingsOf } from './mode-settings.ts';
import { placement } from './placement.ts';
import { volumesOf } from './volumes.ts';

const poolDrainMs = 600_000;

/** The pod, before `pod-template` is merged into it. */
export function podSpec(spec: BuilderSpec): V1PodSpec {
  const { driver, mode } = spec;
  const { hostUsers } = settingsOf(mode);
  const before = initContainers(spec);
  const volumes = volumesOf(spec);
  return {
    ...placement(spec),
    ...(hostUsers === undefined ? {} : { hostUsers }),
    terminationGracePeriodSeconds: drainSeconds(spec),
    ...accountOf(spec),
    enableServiceLinks: false,
    ...(driver.imagePullSecrets.length === 0
      ? {}
      : { imagePullSecrets: driver.imagePullSecrets.map((name) => ({ name })) }),
    ...(before.length === 0 ? {} : { initContainers: before }),
    containers: [daemonContainer(spec)],
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

/**
 * The daemon ends when its builds have, so only a busy one takes this long.
 *
 * Nothing in a job's own builder is worth waiting for when it is removed. Zero would be no grace at
 * all, which leaves the pod's name in the server before its processes are gone.
 */
function drainSeconds({ driver, isShared }: BuilderSpec): number {
  const wantedMs = driver.drainTimeoutMs ?? (isShared ? poolDrainMs : 0);
  return Math.max(1, Math.ceil(wantedMs / 1000));
}

/** The daemon has no use for a token; an account that was asked for keeps what it is set to. */
function accountOf({ driver }: BuilderSpec): Partial<V1PodSpec> {
  const { serviceAccount } = driver;
  return serviceAccount === undefined
    ? { automountServiceAccountToken: false }
    : { serviceAccountName: serviceAccount };
}
