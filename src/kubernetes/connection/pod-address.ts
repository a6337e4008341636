import type { Pod } from '../kube-objects.ts';

/** Most that a file of hosts is read for. */
const maxHostsBytes = 64 * 1024;

/** Above this line the kubelet writes the pod's own addresses, below it what its spec asks for. */
const ownPart = /^# Entries added by HostAliases\.[^]*/m;

/** The command whose output `addressFromHosts` reads. */
export const readHosts: readonly string[] = ['cat', '/etc/hosts'];

/**
 * The address that a pod has by its own `/etc/hosts`, as the kubelet writes it.
 *
 * The pod's status has it up to a second later. Undefined for pods that share the network of their
 * node, whose file is the node's.
 */
export function addressFromHosts(hosts: string, pod: Pod): string | undefined {
  if (!hosts.startsWith('# Kubernetes-managed hosts file')) return undefined;
  const name = hostnameOf(pod);
  return hosts
    .replace(ownPart, '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([, ...names]) =>
      names.some((each) => each === name || each.startsWith(`${name}.`)),
    )?.[0];
}

/** Reads all that a command writes, up to 64 KiB. */
export async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= maxHostsBytes) break;
  }
  return Buffer.concat(chunks).toString();
}

/** As the kubelet makes it: names of pods may be longer than names of hosts. */
function hostnameOf({ spec, metadata }: Pod): string {
  return spec?.hostname ?? metadata.name.slice(0, 63).replace(/[-.]+$/, '');
}
