/**
 * Makes a node of this amd64 machine look like an arm64 node to the whole cluster.
 *
 * The kubelet insists on the architecture it was compiled for and puts its label back with every
 * status update, so the API server itself changes what the kubelet sends: an admission policy is
 * applied before anything is stored, and nobody ever sees the label flap.
 */
import { apiCreate } from './kubernetes-api.ts';
import type { ClusterNode } from './layout.ts';

const group = 'admissionregistration.k8s.io/v1beta1';
const hostArchitecture = 'amd64';

/** Creates the policy for every node whose architecture is not the machine's own. */
export async function pretendArchitectures(nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes.filter(({ arch }) => arch !== hostArchitecture)) {
    await apiCreate(`/apis/${group}/mutatingadmissionpolicies`, policy(node));
    await apiCreate(`/apis/${group}/mutatingadmissionpolicybindings`, binding(node));
  }
}

function policy({ name, arch }: ClusterNode): object {
  const patch = (path: string): string => `JSONPatch{op: "add", path: "${path}", value: "${arch}"}`;
  return {
    apiVersion: group,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: policyName(name) },
    spec: {
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE', 'UPDATE'],
            resources: ['nodes', 'nodes/status'],
          },
        ],
      },
      matchConditions: [{ name: 'node', expression: `object.metadata.name == "${name}"` }],
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `[${[
              patch('/metadata/labels/kubernetes.io~1arch'),
              patch('/metadata/labels/beta.kubernetes.io~1arch'),
              patch('/status/nodeInfo/architecture'),
            ].join(', ')}]`,
          },
        },
      ],
    },
  };
}

function binding({ name }: ClusterNode): object {
  return {
    apiVersion: group,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: policyName(name) },
    spec: { policyName: policyName(name) },
  };
}

function policyName(node: string): string {
  return `architecture-of-${node}`;
}
