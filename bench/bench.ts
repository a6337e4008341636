/**
 * Measures us against buildx on one cluster in one run: `npm run bench -- [name…] [--json]`.
 *
 * Runs of both sides alternate, so that a noisy machine troubles both alike; what is printed are
 * medians and their ratio. How to read the rows is in `README.md`.
 */
import { createNamespace } from '../scripts/cluster-namespace.ts';
import { findCluster } from '../scripts/find-cluster.ts';
import { benchmarks } from './benchmarks.ts';
import { measure, type Row } from './measure.ts';

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const json = process.argv.includes('--json');

const unknown = wanted.filter((name) => !benchmarks.some((each) => each.name === name));
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(' or ')}. There are:`);
  for (const { name, what } of benchmarks) console.error(`  ${name.padEnd(18)} ${what}`);
  process.exit(2);
}

const cluster = findCluster();
await using namespace = await createNamespace(cluster, 'kube-buildx-bench');
for (const benchmark of benchmarks) {
  if (wanted.length > 0 && !wanted.includes(benchmark.name)) continue;
  const row = await measure(benchmark, { cluster, namespace: namespace.name });
  console.log(json ? JSON.stringify(row) : describe(row));
}

function describe(row: Row): string {
  const value = (each: number | null): string =>
    each === null ? '-' : `${each.toFixed(each < 10 ? 2 : 0)} ${row.unit}`;
  const parts = [
    row.name.padEnd(18),
    `ours ${value(row.ours)}`.padEnd(16),
    `peer ${value(row.peer)}`.padEnd(16),
    `ratio ${row.ratio?.toFixed(2) ?? '-'}`.padEnd(12),
    `floor ${value(row.floor)}`.padEnd(16),
    `${String(row.runs)} runs`,
  ];
  if (row.peakRssMb !== undefined) parts.push(`${row.peakRssMb.toFixed(0)} MB resident`);
  if (row.bytesSent !== undefined) parts.push(`${(row.bytesSent / 1e6).toFixed(1)} MB of files`);
  if (row.wireBytes !== undefined) parts.push(`${(row.wireBytes / 1e6).toFixed(1)} MB on the wire`);
  return parts.join('  ');
}
