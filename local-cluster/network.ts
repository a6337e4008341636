/** Bridges, the link between the nodes, routes and packet rules. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

import { CannotRunHere, run } from './command.ts';
import { addresses, clusterNodes, interfaces, ports, ruleComment } from './layout.ts';
import type { ClusterNode } from './layout.ts';

/**
 * Of both bridges, which never meet. Without one of its own a bridge takes that of a port, so it would
 * change as pods come and go, and pods would send to where their gateway was.
 */
const bridgeMac = '02:00:0a:58:00:01';

/** Name of the bridge inside node-b's namespace, and of that node's end of the link. */
const inner = { bridge: interfaces.bridge, link: 'eth0' };

/** Makes the network for the nodes; nothing of an earlier one may be left. */
export async function makeNetwork(nodes: readonly ClusterNode[]): Promise<void> {
  await checkAddressesFree();
  await ip([
    `link add ${interfaces.bridge} address ${bridgeMac} type bridge`,
    `addr add ${addresses.host}/24 dev ${interfaces.bridge}`,
    `link set ${interfaces.bridge} up`,
  ]);
  for (const node of nodes) {
    if (node.namespace !== undefined) await makeNamespace(node, node.namespace);
  }
  await forwardBetweenPods(nodes);
}

/** Removes links, routes, namespaces and packet rules; those that are not there do no harm. */
export async function removeNetwork(): Promise<void> {
  for (const node of clusterNodes()) {
    if (node.namespace === undefined || !existsSync(node.namespace)) continue;
    await run('umount', ['--lazy', node.namespace]).catch(() => undefined);
  }
  for (const name of Object.values(interfaces)) {
    if (existsSync(`/sys/class/net/${name}`)) await run('ip', ['link', 'del', name]);
  }
  await removeRules();
}

async function checkAddressesFree(): Promise<void> {
  for (const address of [addresses.host, addresses.hostOnLink]) {
    const routes = await run('ip', ['-4', '-o', 'route', 'show', 'to', 'match', address]);
    const taken = routes.split('\n').find((line) => line !== '' && !line.startsWith('default'));
    if (taken === undefined) continue;
    throw new CannotRunHere(
      `The local cluster needs the addresses around ${address}, which this machine uses: ${taken}`,
    );
  }
}

async function makeNamespace(node: ClusterNode, namespace: string): Promise<void> {
  // A file of our own holds the namespace instead of `ip netns`, which would turn /run/netns into
  // a shared mount for the whole machine and leave it so.
  await writeFile(namespace, '');
  await run('unshare', [`--net=${namespace}`, 'true']);
  await ip([
    `link add ${interfaces.link} type veth peer name ${inner.link} netns ${namespace}`,
    `addr add ${addresses.hostOnLink}/24 dev ${interfaces.link}`,
    `link set ${interfaces.link} up`,
  ]);
  await ip(
    [
      'link set lo up',
      `addr add ${node.address}/24 dev ${inner.link}`,
      `link set ${inner.link} up`,
      `route add default via ${addresses.hostOnLink}`,
      `link add ${inner.bridge} address ${bridgeMac} type bridge`,
      `addr add ${node.podGateway}/24 dev ${inner.bridge}`,
      `link set ${inner.bridge} up`,
    ],
    namespace,
  );
  await run('nsenter', [`--net=${namespace}`, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
  await ip([`route add ${node.podRange} via ${node.address}`]);
}

async function ip(commands: readonly string[], namespace?: string): Promise<void> {
  const input = `${commands.join('\n')}\n`;
  if (namespace === undefined) await run('ip', ['-batch', '-'], { input });
  else await run('nsenter', [`--net=${namespace}`, 'ip', '-batch', '-'], { input });
}

/**
 * Lets packets pass between the nodes' pods, and to the API server by its service address.
 *
 * Forwarding is switched on for our interfaces only, and nothing translates addresses to the
 * outside: the cluster behaves the same on machines with and without a network.
 */
async function forwardBetweenPods(nodes: readonly ClusterNode[]): Promise<void> {
  const ours = [interfaces.bridge, ...(nodes.length > 1 ? [interfaces.link] : [])];
  for (const name of ours) await writeFile(`/proc/sys/net/ipv4/conf/${name}/forwarding`, '1');
  const comment = ['-m', 'comment', '--comment', ruleComment];
  for (const name of ours) {
    // Ahead of others' rules: Docker, for one, drops what it does not know.
    await iptables('-I', 'FORWARD', '-i', name, ...comment, '-j', 'ACCEPT');
    await iptables('-I', 'FORWARD', '-o', name, ...comment, '-j', 'ACCEPT');
  }
  const target = `${addresses.host}:${ports.apiServer}`;
  for (const chain of ['PREROUTING', 'OUTPUT']) {
    const match = ['-d', addresses.kubernetesService, '-p', 'tcp', '--dport', '443'];
    await iptables(
      ...['-t', 'nat', '-A', chain, ...match, ...comment],
      ...['-j', 'DNAT', '--to-destination', target],
    );
  }
}

async function removeRules(): Promise<void> {
  for (const table of ['filter', 'nat']) {
    const rules = await iptables('-t', table, '-S').catch(() => '');
    for (const rule of rules.split('\n')) {
      if (!rule.startsWith('-A ') || !rule.includes(ruleComment)) continue;
      await iptables('-t', table, '-D', ...rule.slice('-A '.length).split(' '));
    }
  }
}

async function iptables(...args: string[]): Promise<string> {
  return run('iptables', ['-w', '10', ...args]);
}
