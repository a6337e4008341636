import type { V1Container, V1EnvVar, V1ResourceRequirements } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { daemonFlags } from './daemon-flags.ts';
import { containerName } from './labels.ts';
import { settingsOf } from './mode-settings.ts';
import { mountsOf } from './volumes.ts';

/** The daemon's container. */
export function daemonContainer(spec: BuilderSpec): V1Container {
  const args = daemonFlags(spec);
  const env = envOf(spec);
  return {
    name: containerName,
    image: spec.image,
    ...pullPolicyOf(spec),
    ...(args.length === 0 ? {} : { args }),
    ...(env.length === 0 ? {} : { env }),
    securityContext: settingsOf(spec.mode).securityContext,
    resources: resourcesOf(spec),
    // Only for people who look at the pod: we connect as soon as the daemon answers. There is no
    // liveness probe, since a daemon too busy to answer must not be killed. The delay keeps the
    // probe out of the way of a cold start.
    readinessProbe: {
      exec: { command: ['buildctl', 'debug', 'workers'] },
      initialDelaySeconds: 5,
      periodSeconds: 30,
      timeoutSeconds: 20,
    },
    volumeMounts: mountsOf(spec),
  };
}

/** What the pod asks for; the same for those containers that only run before the daemon. */
export function resourcesOf({ driver }: BuilderSpec): V1ResourceRequirements {
  return { requests: { ...driver.requests }, limits: { ...driver.limits } };
}

/** `image-pull-policy`, for every container of ours. */
export function pullPolicyOf({ driver }: BuilderSpec): { imagePullPolicy?: string } {
  const { imagePullPolicy } = driver;
  return imagePullPolicy === undefined ? {} : { imagePullPolicy };
}

/** In an order that does not depend on how the options were written. */
function envOf({ driver }: BuilderSpec): V1EnvVar[] {
  return Object.entries(driver.env)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value }));
}
