/**
 * One real build, end to end: a cluster, the bundle run as a runner runs it on `examples/hello`, and
 * the pushed image read back from the registry.
 */
import { join } from 'node:path';

import { Job } from './action-runner.ts';
import { createNamespace } from './cluster-namespace.ts';
import { clusterInputs, findCluster } from './find-cluster.ts';
import { pullImage } from './registry-pull.ts';

const root = join(import.meta.dirname, '..');
const steps: [name: string, seconds: number][] = [];

const cluster = await timed('cluster', () => Promise.resolve(findCluster()));
await using namespace = await createNamespace(cluster, 'kube-buildx-demo');
using job = new Job({ workspace: root, env: { KUBECONFIG: cluster.kubeconfig } });
const tag = `${cluster.registry}/demo/hello:${String(Date.now())}`;
const step = job.step({
  context: 'examples/hello',
  ...clusterInputs(cluster, namespace.name),
  'build-args': 'GREETING=Good morning',
  tags: tag,
  push: 'true',
});

const main = await timed('main', () => show(step.main()));
if (main.exitCode !== 0) throw new Error(`main ended with exit code ${String(main.exitCode)}`);
const post = await timed('post', () => show(step.post()));
if (post.exitCode !== 0) throw new Error(`post ended with exit code ${String(post.exitCode)}`);

const pulled = await timed('pull', () => pullImage(tag));
if (pulled.digest !== main.outputs.digest) {
  throw new Error(`pulled ${pulled.digest}, but the action said ${String(main.outputs.digest)}`);
}
const left = await namespace.listWhatIsLeft();
if (left.length > 0) throw new Error(`left in the namespace: ${left.join(', ')}`);

console.log(`\nPulled ${tag}`);
console.log(`  digest ${pulled.digest}, as the action said`);
console.log(
  `  ${String(pulled.layers)} layers, ${(pulled.sizeBytes / 1e6).toFixed(2)} MB verified`,
);
console.log(`  namespace ${namespace.name} is empty`);
for (const [phase, ms] of Object.entries(readTimings(main.outputs.timings))) {
  console.log(`  ${phase.padEnd(12)} ${(ms / 1000).toFixed(2)} s of main`);
}
for (const [name, seconds] of steps) console.log(`  ${name.padEnd(12)} ${seconds.toFixed(2)} s`);

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  steps.push([name, (performance.now() - startedMs) / 1000]);
  return result;
}

function show(running: ReturnType<typeof step.main>): typeof running.done {
  running.child.stdout?.pipe(process.stdout);
  running.child.stderr?.pipe(process.stderr);
  return running.done;
}

function readTimings(json: string | undefined): Record<string, number> {
  return json === undefined ? {} : (JSON.parse(json) as Record<string, number>);
}
