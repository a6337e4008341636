import type { KubeEvent } from './kube-objects.ts';

/** What an autoscaler does about our pods. */
export interface ScaleUp {
  /** Whether a node is on its way, rather than refused. */
  readonly isComing: boolean;
  /** In the words of the autoscaler. */
  readonly message: string;
}

/**
 * What an autoscaler has said last about each pod; a node that comes for one is news for all.
 *
 * The cluster autoscaler, which GKE and AKS run too, says `TriggeredScaleUp` and `NotTriggerScaleUp`;
 * Karpenter, also as EKS Auto Mode and AKS node auto-provisioning, says `Nominated`, and
 * `FailedScheduling` as the scheduler does.
 */
export function scaleUpOf(events: readonly KubeEvent[]): ScaleUp | undefined {
  const last = new Map<string, { readonly scaleUp: ScaleUp; readonly timeMs: number }>();
  for (const event of events) {
    const scaleUp = read(event);
    if (scaleUp === undefined) continue;
    const pod = event.involvedObject.uid ?? event.involvedObject.name ?? '';
    const timeMs = timeOf(event);
    const before = last.get(pod);
    // Times have seconds only: of two at the same time the good news counts.
    const isNews =
      before === undefined ||
      timeMs > before.timeMs ||
      (timeMs === before.timeMs && scaleUp.isComing);
    if (isNews) last.set(pod, { scaleUp, timeMs });
  }
  const said = [...last.values()].map(({ scaleUp }) => scaleUp);
  return said.find(({ isComing }) => isComing) ?? said[0];
}

const coming = new Set(['TriggeredScaleUp', 'Nominated']);

function read(event: KubeEvent): ScaleUp | undefined {
  const { reason = '', message = '' } = event;
  if (coming.has(reason)) return { isComing: true, message };
  const isRefused =
    reason === 'NotTriggerScaleUp' || (reason === 'FailedScheduling' && isByKarpenter(event));
  return isRefused ? { isComing: false, message } : undefined;
}

function isByKarpenter({ reportingComponent, source }: KubeEvent): boolean {
  return reportingComponent === 'karpenter' || source?.component === 'karpenter';
}

function timeOf({ lastTimestamp, eventTime }: KubeEvent): number {
  return Date.parse(lastTimestamp ?? eventTime ?? '') || 0;
}
