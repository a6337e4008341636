import { describe, expect, it } from '@jest/globals';
import type { KubeEvent } from '../../../src/kubernetes/kube-objects.ts';
import { scaleUpOf } from '../../../src/kubernetes/scale-up.ts';

const at = (second: number, reason: string, more: Partial<KubeEvent> = {}): KubeEvent => ({
  metadata: { name: `e${second}`, uid: `e${second}` },
  involvedObject: { kind: 'Pod', name: 'b-1', uid: 'u1' },
  reason,
  message: `${reason} at ${second}`,
  lastTimestamp: `2030-01-01T00:00:0${second}Z`,
  ...more,
});

describe('scaleUpOf', () => {
  it.each([
    ['the cluster autoscaler', at(0, 'TriggeredScaleUp'), true],
    ['Karpenter', at(0, 'Nominated'), true],
    ['an autoscaler that refuses', at(0, 'NotTriggerScaleUp'), false],
    [
      'Karpenter when it refuses',
      at(0, 'FailedScheduling', { reportingComponent: 'karpenter' }),
      false,
    ],
    [
      'an older Karpenter when it refuses',
      at(0, 'FailedScheduling', { reportingComponent: '', source: { component: 'karpenter' } }),
      false,
    ],
  ])('knows %s', (_, event, isComing) => {
    expect(scaleUpOf([event])).toEqual({ isComing, message: event.message });
  });

  it('is nothing without an autoscaler', () => {
    const scheduler = { reportingComponent: 'default-scheduler' };
    expect(scaleUpOf([at(0, 'FailedScheduling', scheduler), at(1, 'Pulling')])).toBeUndefined();
  });

  it('takes the last word, in whatever order events come', () => {
    const came = at(1, 'TriggeredScaleUp');
    const failed = at(2, 'NotTriggerScaleUp');
    expect(scaleUpOf([failed, came])?.isComing).toBe(false);
    expect(scaleUpOf([came, failed])?.isComing).toBe(false);
    expect(scaleUpOf([failed, at(3, 'TriggeredScaleUp'), came])?.isComing).toBe(true);
  });

  it('takes the good news of two in the same second', () => {
    const came = at(1, 'TriggeredScaleUp');
    const refused = at(1, 'NotTriggerScaleUp');
    expect(scaleUpOf([came, refused])?.isComing).toBe(true);
    expect(scaleUpOf([refused, came])?.isComing).toBe(true);
  });

  it('comes when it comes for one pod of several', () => {
    const other = { involvedObject: { kind: 'Pod', name: 'b-2', uid: 'u2' } };
    expect(scaleUpOf([at(5, 'NotTriggerScaleUp'), at(1, 'Nominated', other)])?.isComing).toBe(true);
  });
});
