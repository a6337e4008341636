/**
 * Where everything of the local cluster lives: folders, addresses, ports and names.
 *
 * The cluster belongs to the machine, not to a clone of the project: its bridge, addresses and
 * cgroups exist once. So its state has one fixed place, while each clone only gets a small
 * `.cluster/` folder that points there.
 */
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder with the sources of the local cluster. */
export const sourceFolder = dirname(fileURLToPath(import.meta.url));

/** Folder of this clone that `up` writes the environment to. */
export const projectFolder = join(sourceFolder, '..', '.cluster');

/** Folder with all state of the running cluster; short, as unix socket paths end at 107 characters. */
export const stateFolder = '/var/lib/kube-buildx-cluster';

/** Locks out a second `up` or `down` on the machine. */
export const machineLock = '/run/lock/kube-buildx-cluster.lock';

/** Marks every iptables rule of ours, so that cleaning up finds them and no others. */
export const ruleComment = 'kube-buildx-cluster';

/** Path inside the cluster's state folder. */
export function statePath(...parts: string[]): string {
  return join(stateFolder, ...parts);
}

/** Folder of what is costly to make and the same for every clone: binaries and image layers. */
export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME;
  const parent = base?.startsWith('/') === true ? base : join(homedir(), '.cache');
  return join(parent, 'kube-buildx-action', 'local-cluster');
}

/** Addresses in use; 10.88.0.0/15 is taken as a whole. */
export const addresses = {
  /** The bridge of node-a: API server and registry listen here, reachable from every pod. */
  host: '10.88.0.1',
  /** The host's end of the link to node-b. */
  hostOnLink: '10.89.0.1',
  /** First address of the service range: `kubernetes.default`. */
  kubernetesService: '10.96.0.1',
  serviceRange: '10.96.0.0/16',
};

/** Ports off the usual ones, so that another etcd or Kubernetes on the machine is no hindrance. */
export const ports = {
  etcdClient: 22379,
  etcdPeer: 22380,
  apiServer: 16443,
  controllerManager: 20257,
  scheduler: 20259,
  kubelet: 10250,
  kubeletHealth: 20248,
};

/** The image registry, by the address that host, nodes and pods all reach it at. */
export const registryAddress = `${addresses.host}:5000`;

/** Network interfaces on the host: the bridge of node-a's pods and the link to node-b. */
export const interfaces = { bridge: 'kbx0', link: 'kbx1' };

/** One Kubernetes node of the cluster. */
export interface ClusterNode {
  name: string;
  /** What its `kubernetes.io/arch` label says; the programs themselves are all amd64. */
  arch: 'amd64' | 'arm64';
  address: string;
  podRange: string;
  podGateway: string;
  /** Root of its pods in every cgroup hierarchy. */
  cgroup: string;
  /** File that holds its network namespace open; none for the node on the host's own network. */
  namespace?: string;
}

const allNodes: readonly ClusterNode[] = [
  {
    name: 'node-a',
    arch: 'amd64',
    address: addresses.host,
    podRange: '10.88.0.0/24',
    podGateway: addresses.host,
    cgroup: '/kube-buildx-a',
  },
  {
    name: 'node-b',
    arch: 'arm64',
    address: '10.89.0.2',
    podRange: '10.88.1.0/24',
    podGateway: '10.88.1.1',
    cgroup: '/kube-buildx-b',
    namespace: join(stateFolder, 'node-b.netns'),
  },
];

/** The nodes of a cluster of that size, or all that there can be. */
export function clusterNodes(count = allNodes.length): ClusterNode[] {
  return allNodes.slice(0, count);
}
