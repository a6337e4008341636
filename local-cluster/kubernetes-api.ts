/** The few questions that setting up the cluster asks of its API server. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';

import { addresses, ports } from './layout.ts';
import type { ClusterNode } from './layout.ts';
import { pkiPath } from './pki.ts';

/** What we read of a node. */
export interface NodeObject {
  metadata: { name: string; labels: Record<string, string> };
  spec: { taints?: { effect: string }[] };
  status: { conditions: { type: string; status: string }[] };
}

/** Reads a path of the API as the administrator; undefined when there is no good answer. */
export async function apiGet<T>(path: string): Promise<T | undefined> {
  try {
    return (await apiRequest('GET', path)) as T;
  } catch {
    return undefined;
  }
}

/** Creates an object as the administrator. */
export async function apiCreate(path: string, object: object): Promise<void> {
  await apiRequest('POST', path, JSON.stringify(object));
}

/** Those of the nodes that are ready for pods, by name. */
export async function readyNodes(nodes: readonly ClusterNode[]): Promise<string[]> {
  const list = await apiGet<{ items: NodeObject[] }>('/api/v1/nodes');
  return (list?.items ?? [])
    .filter((object) => {
      const node = nodes.find(({ name }) => name === object.metadata.name);
      return object.metadata.labels['kubernetes.io/arch'] === node?.arch && isReady(object);
    })
    .map((object) => object.metadata.name);
}

/**
 * Ready, and free of the taints that keep pods from a new node.
 *
 * Of those, `NoExecute` does not count: every pod tolerates it for minutes, and the controllers put
 * it on a node for a moment when they start together with the node.
 */
function isReady(node: NodeObject): boolean {
  const { taints = [] } = node.spec;
  const ready = node.status.conditions.find((condition) => condition.type === 'Ready');
  return ready?.status === 'True' && !taints.some(({ effect }) => effect === 'NoSchedule');
}

async function apiRequest(method: string, path: string, body = ''): Promise<unknown> {
  const [ca, cert, key] = await Promise.all(
    ['ca.crt', 'admin.crt', 'admin.key'].map((file) => readFile(pkiPath(file))),
  );
  const call = request({
    method,
    headers: { 'content-type': 'application/json' },
    host: addresses.host,
    port: ports.apiServer,
    path,
    agent: false,
    timeout: 3000,
    ...(ca && cert && key && { ca, cert, key }),
  });
  call.once('timeout', () => call.destroy(new Error('time-out')));
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk: string) => (text += chunk));
      response.once('error', reject);
      response.once('end', () => {
        if ((response.statusCode ?? 500) >= 300) reject(new Error(`${method} ${path}: ${text}`));
        // `/readyz` answers in plain text.
        else resolve(text.startsWith('{') ? JSON.parse(text) : text);
      });
    });
    call.end(body);
  });
}
