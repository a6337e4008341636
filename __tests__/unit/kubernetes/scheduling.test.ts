import { describe, expect, it } from '@jest/globals';
import { condenseScheduling } from '../../../src/kubernetes/scheduling.ts';

describe('condenseScheduling', () => {
  it.each([
    {
      name: 'selector and memory, with what preemption would do',
      message:
        "0/2 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
      text: '0/2 nodes: 1 not enough memory, 1 wrong architecture',
      permanent: false,
    },
    {
      name: 'only the selector',
      message:
        "0/7 nodes are available: 7 node(s) didn't match Pod's node affinity/selector. preemption: 0/7 nodes are available: 7 Preemption is not helpful for scheduling.",
      text: '0/7 nodes: 7 wrong architecture',
      permanent: true,
    },
    {
      name: 'taints with and without a value, one with a comma in the text around it',
      message:
        '0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) had untolerated taint {dedicated: gpu}, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.',
      text: '0/4 nodes: 1 tainted {node-role.kubernetes.io/control-plane: }, 2 tainted {dedicated: gpu}, 1 cordoned',
      permanent: true,
    },
    {
      name: 'an older taint phrase',
      message:
        "0/1 nodes are available: 1 node(s) had taint {key: value}, that the pod didn't tolerate.",
      text: '0/1 nodes: 1 tainted {key: value}',
      permanent: true,
    },
    {
      name: 'several resources of one node',
      message:
        '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient nvidia.com/gpu.',
      text: '0/1 nodes: 1 not enough CPU, 1 not enough ephemeral storage, 1 not enough nvidia.com/gpu',
      permanent: false,
    },
    {
      name: 'a phrase we do not know',
      message: "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [X].",
      text: "0/3 nodes: 3 node(s) didn't satisfy plugin(s) [X]",
      permanent: false,
    },
    {
      name: 'nodes that are on their way or will recover',
      message:
        '0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) had untolerated taint {karpenter.sh/unregistered: }, 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.',
      text: '0/3 nodes: 1 not ready, 1 not ready, 1 short of disk',
      permanent: false,
    },
    {
      name: 'a volume in another zone',
      message:
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) had volume node affinity conflict. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
      text: '0/3 nodes: 1 wrong architecture, 2 cannot reach the volume',
      permanent: true,
      isAboutVolumes: true,
    },
    {
      name: 'a claim that waits for its volume',
      message:
        '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
      text: 'its volume claim has no volume yet',
      permanent: false,
      isAboutVolumes: true,
    },
    {
      name: 'a class that does not exist',
      message:
        '0/2 nodes are available: storageclass.storage.k8s.io "nope" not found. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
      text: 'there is no storage class nope',
      permanent: true,
      isAboutVolumes: true,
    },
    {
      name: 'no nodes at all',
      message: 'no nodes available to schedule pods',
      text: 'the cluster has no nodes',
      permanent: true,
    },
    {
      name: 'another scheduler',
      message: 'queue default is out of quota',
      text: 'queue default is out of quota',
      permanent: false,
    },
  ])('condenses $name', ({ message, text, permanent, isAboutVolumes = false }) => {
    expect(condenseScheduling(message, 'wrong architecture')).toEqual({
      text,
      permanent,
      isAboutVolumes,
    });
  });

  it('calls a node that does not match what it is told to', () => {
    const message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    expect(condenseScheduling(message, 'wrong operating system').text).toBe(
      '0/1 nodes: 1 wrong operating system',
    );
  });
});
