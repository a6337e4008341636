/** Bringing the cluster up on a clean machine: what can go on at the same time, does. */
import { mkdir } from 'node:fs/promises';

import type { Binaries } from './binaries.ts';
import { startApiServer, startControllers, waitForDefaultNamespace } from './control-plane.ts';
import { registerEmulator } from './emulation.ts';
import { writeBuildkitdConfig } from './environment.ts';
import type { ImageSet } from './images.ts';
import { readyNodes } from './kubernetes-api.ts';
import { clusterNodes, stateFolder } from './layout.ts';
import type { ClusterNode } from './layout.ts';
import { makeNetwork } from './network.ts';
import { pretendArchitectures } from './node-architecture.ts';
import { startContainerd, startKubelet } from './node.ts';
import { makePki } from './pki.ts';
import { waitForDaemon } from './processes.ts';
import { startRegistry } from './registry.ts';

/** Starts everything and returns when pods can be created. */
export async function startCluster(
  nodeCount: number,
  binaries: Binaries,
  images: ImageSet,
): Promise<void> {
  const nodes = clusterNodes(nodeCount);
  const { libexec } = binaries;
  await mkdir(stateFolder, { recursive: true, mode: 0o755 });
  await Promise.all([makePki(), makeNetwork(nodes), registerEmulator(), writeBuildkitdConfig()]);
  const apiServer = startApiServer(libexec).then(async () => {
    startControllers(libexec);
    await pretendArchitectures(nodes);
  });
  await Promise.all([
    apiServer.then(waitForDefaultNamespace),
    startRegistry(images),
    ...nodes.map(async (node) => {
      await Promise.all([apiServer, startContainerd(node, libexec, images)]);
      await startKubelet(node, libexec);
      await waitForNode(node);
    }),
  ]);
}

async function waitForNode(node: ClusterNode): Promise<void> {
  await waitForDaemon(`kubelet-${node.name}`, `node ${node.name}`, async () =>
    (await readyNodes([node])).length > 0 ? true : undefined,
  );
}
