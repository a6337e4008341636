import type { V1Affinity, V1PodSpec } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { selectorLabels } from './labels.ts';

/** Which nodes may and should take the pods. */
export function placement(
  spec: BuilderSpec,
): Pick<V1PodSpec, 'nodeSelector' | 'affinity' | 'topologySpreadConstraints'> {
  const { platform } = spec;
  const arch = platform === undefined ? undefined : nodeArchitecture(platform.architecture);
  return {
    nodeSelector: {
      'kubernetes.io/os': platform?.os ?? 'linux',
      ...(arch === undefined ? {} : { 'kubernetes.io/arch': arch }),
    },
    ...(arch === undefined ? { affinity: preferArchitecture(spec.preferredArchitecture) } : {}),
    // Spreading outweighs a preference, and pods of one builder must not differ in architecture.
    ...(spec.driver.replicas > 1 && arch !== undefined
      ? {
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: selectorLabels(spec) },
            },
          ],
        }
      : {}),
  };
}

/** Nodes know no 386: those of amd64 run it natively. */
function nodeArchitecture(architecture: string): string {
  return architecture === '386' ? 'amd64' : architecture;
}

function preferArchitecture(architecture: string): V1Affinity {
  const matchExpressions = [
    { key: 'kubernetes.io/arch', operator: 'In', values: [nodeArchitecture(architecture)] },
  ];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions } },
      ],
    },
  };
}
