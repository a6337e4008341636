import type { V1PodSpec } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { containerName } from './labels.ts';
import { placement } from './placement.ts';
import { volumesOf } from './volumes.ts';

/** The pod, before `pod-template` is merged into it. */
export function podSpec(spec: BuilderSpec): V1PodSpec {
  const volumes = volumesOf(spec);
  return {
    ...placement(spec),
    // Nothing in a job's own builder is worth waiting for when it is removed.
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [
      {
        name: containerName,
        image: spec.image,
        ...(spec.flags.length === 0 ? {} : { args: [...spec.flags] }),
        securityContext: { privileged: true },
        resources: {
          requests: { ...spec.driver.requests },
          limits: { ...spec.driver.limits },
        },
        // Only for people who look at the pod: we connect as soon as the daemon answers. There is
        // no liveness probe, since a daemon too busy to answer must not be killed. The delay keeps
        // the probe out of the way of a cold start.
        readinessProbe: {
          exec: { command: ['buildctl', 'debug', 'workers'] },
          initialDelaySeconds: 5,
          periodSeconds: 30,
          timeoutSeconds: 20,
        },
        volumeMounts: [
          { name: 'state', mountPath: '/var/lib/buildkit' },
          ...(spec.files.length === 0
            ? []
            : [{ name: 'config', mountPath: '/etc/buildkit', readOnly: true }]),
        ],
      },
    ],
    volumes,
  };
}
