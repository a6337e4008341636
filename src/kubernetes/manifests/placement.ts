import type { V1Affinity, V1PodSpec, V1Toleration } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { selectorLabels } from './labels.ts';

const architectureLabel = 'kubernetes.io/arch';

/** Which nodes may and should take the pods; `nodeselector` wins over what follows from the platform. */
export function placement(
  spec: BuilderSpec,
): Pick<
  V1PodSpec,
  'nodeSelector' | 'affinity' | 'topologySpreadConstraints' | 'tolerations' | 'schedulerName'
> {
  const { platform, driver } = spec;
  const { schedulerName, tolerations } = driver;
  const nodeSelector: Record<string, string> = {
    'kubernetes.io/os': platform?.os ?? 'linux',
    ...(platform === undefined
      ? {}
      : { [architectureLabel]: nodeArchitecture(platform.architecture) }),
    ...driver.nodeSelector,
  };
  const isOneArchitecture = nodeSelector[architectureLabel] !== undefined;
  return {
    nodeSelector,
    ...(isOneArchitecture ? {} : { affinity: preferArchitecture(spec.preferredArchitecture) }),
    // Spreading outweighs a preference, and pods of one builder must not differ in architecture.
    // A shared builder may grow, which must not change the pods that it has.
    ...((driver.replicas > 1 || spec.isShared) && isOneArchitecture
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
    ...(tolerations.length === 0
      ? {}
      : { tolerations: tolerations.map((toleration): V1Toleration => ({ ...toleration })) }),
    ...(schedulerName === undefined ? {} : { schedulerName }),
  };
}

/** Nodes know no 386: those of amd64 run it natively. */
function nodeArchitecture(architecture: string): string {
  return architecture === '386' ? 'amd64' : architecture;
}

function preferArchitecture(architecture: string): V1Affinity {
  const matchExpressions = [
    { key: architectureLabel, operator: 'In', values: [nodeArchitecture(architecture)] },
  ];
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions } },
      ],
    },
  };
}
