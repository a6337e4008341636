/** A Kubernetes node: containerd with the images it starts with, and the kubelet. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { makeCgroup } from './cgroups.ts';
import { run } from './command.ts';
import { imageArchive } from './image-store.ts';
import type { ImageSet } from './images.ts';
import { addresses, interfaces, ports, registryAddress, statePath } from './layout.ts';
import type { ClusterNode } from './layout.ts';
import { kubeconfigPath, pkiPath } from './pki.ts';
import { startDaemon, waitForDaemon } from './processes.ts';

const pauseImage = `${registryAddress}/local/pause:1`;

/** Starts containerd for the node and loads the images. */
export async function startContainerd(
  node: ClusterNode,
  libexec: string,
  set: ImageSet,
): Promise<void> {
  const configuration = nodePath(node, 'containerd.toml');
  await mkdir(nodePath(node, 'cni'), { recursive: true });
  await mkdir(nodePath(node, 'registries', '_default'), { recursive: true });
  await Promise.all([
    writeFile(configuration, containerdConfiguration(node, libexec)),
    writeFile(nodePath(node, 'cni', '10-pods.conflist'), JSON.stringify(podNetwork(node))),
    writeFile(nodePath(node, 'registries', '_default', 'hosts.toml'), registryHosts()),
  ]);
  const name = `containerd-${node.name}`;
  startDaemon({
    name,
    command: join(libexec, 'containerd'),
    args: ['--config', configuration],
    namespace: node.namespace,
    // containerd looks for its shim on PATH.
    env: { ...process.env, PATH: `${libexec}:${process.env.PATH ?? ''}` },
  });
  const ctr = [join(libexec, 'ctr'), '--address', socketPath(node), '--namespace', 'k8s.io'];
  const [program = '', ...common] = ctr;
  await waitForDaemon(name, `containerd of ${node.name}`, () =>
    run(program, [...common, 'version']).catch(() => undefined),
  );
  const images = set.images.filter((image) => image.preload);
  const archive = await imageArchive(set.folder, images, ({ repository, tags }) =>
    tags.flatMap((tag) => [
      `docker.io/${repository}:${tag}`,
      `${registryAddress}/${repository}:${tag}`,
    ]),
  );
  await run(program, [...common, 'images', 'import', '-'], { input: archive });
}

/** Starts the kubelet of the node, whose containerd and API server must be up. */
export async function startKubelet(node: ClusterNode, libexec: string): Promise<void> {
  const configuration = nodePath(node, 'kubelet.json');
  makeCgroup(node);
  // Nothing listens there: names outside the cluster are unknown at once instead of after a time-out.
  await writeFile(nodePath(node, 'resolv.conf'), `nameserver ${addresses.host}\n`);
  await writeFile(configuration, JSON.stringify(kubeletConfiguration(node)));
  startDaemon({
    name: `kubelet-${node.name}`,
    command: join(libexec, 'kubelet'),
    args: [
      `--config=${configuration}`,
      `--kubeconfig=${kubeconfigPath(node.name)}`,
      `--hostname-override=${node.name}`,
      `--node-ip=${node.address}`,
      `--root-dir=${nodePath(node, 'kubelet')}`,
      `--cert-dir=${nodePath(node, 'kubelet-pki')}`,
    ],
    namespace: node.namespace,
  });
}

function nodePath(node: ClusterNode, ...parts: string[]): string {
  return statePath(node.name, ...parts);
}

function socketPath(node: ClusterNode): string {
  return nodePath(node, 'containerd.sock');
}

function containerdConfiguration(node: ClusterNode, libexec: string): string {
  return `version = 3
root = "${nodePath(node, 'root')}"
state = "${nodePath(node, 'state')}"

[grpc]
  address = "${socketPath(node)}"

[plugins."io.containerd.cri.v1.images"]
  max_concurrent_downloads = 10
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${pauseImage}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "${nodePath(node, 'registries')}"

[plugins."io.containerd.cri.v1.runtime"]
  # Some machines forbid lowering the score, and then no container would start.
  restrict_oom_score_adj = true
  # Below our own folder instead of /run/netns, where others have theirs.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "${nodePath(node, 'cni')}"
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "${join(libexec, 'runc')}"
      Root = "${nodePath(node, 'runc')}"

# Both would use folders and sockets of the whole machine, and nobody here needs them.
[plugins."io.containerd.nri.v1.nri"]
  disable = true
[plugins."io.containerd.internal.v1.opt"]
  path = "${nodePath(node, 'opt')}"
`;
}

/**
 * Sends every pull to the local registry, whatever registry the reference names.
 *
 * So docker.io/library/busybox comes from there, and what is not there is refused within
 * milliseconds, with or without a network.
 */
function registryHosts(): string {
  return `server = "http://${registryAddress}"
[host."http://${registryAddress}"]
  capabilities = ["pull", "resolve"]
`;
}

/** Not the gateway itself: that plugin would switch on forwarding for the whole machine. */
function podNetwork(node: ClusterNode): object {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: interfaces.bridge,
        isGateway: false,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: nodePath(node, 'ipam'),
          ranges: [[{ subnet: node.podRange, gateway: node.podGateway }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

function kubeletConfiguration(node: ClusterNode): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    port: ports.kubelet,
    healthzPort: ports.kubeletHealth,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pkiPath('ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${socketPath(node)}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: node.cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    resolvConf: nodePath(node, 'resolv.conf'),
    // There is none; without an address here, every pod gets a warning about that.
    clusterDNS: [addresses.host],
    podLogsDir: nodePath(node, 'pod-logs'),
    volumePluginDir: nodePath(node, 'volume-plugins'),
    // Developers' disks are full more often than not; that must not evict anything.
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    syncFrequency: '10s',
  };
}
