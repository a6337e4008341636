import type { Cluster } from '../scripts/find-cluster.ts';

/** One run of one side. */
export interface Sample {
  readonly value: number;
  readonly peakRssMb?: number | undefined;
  readonly bytesSent?: number | undefined;
  readonly wireBytes?: number | undefined;
}

/** Where benchmarks run. */
export interface Place {
  readonly cluster: Cluster;
  readonly namespace: string;
}

type Side = () => Promise<Sample>;

/** Both sides, ready to be run again and again; the floor is what no client could beat. */
export interface Prepared extends AsyncDisposable {
  readonly ours: Side;
  readonly peer?: Side;
  readonly floor?: Side;
}

export interface Benchmark {
  readonly name: string;
  readonly what: string;
  readonly unit: 'ms' | 's';
  readonly runs: number;
  prepare(place: Place): Promise<Prepared>;
}

/** One line of output; `null` where a side does not exist. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly floor: number | null;
  readonly unit: string;
  readonly runs: number;
  readonly peakRssMb?: number;
  readonly bytesSent?: number;
  readonly wireBytes?: number;
}

/** Runs all sides in turn, as often as the benchmark says, and takes medians. */
export async function measure(benchmark: Benchmark, place: Place): Promise<Row> {
  await using prepared = await benchmark.prepare(place);
  const ours: Sample[] = [];
  const peer: Sample[] = [];
  const floor: Sample[] = [];
  for (let run = 0; run < benchmark.runs; run += 1) {
    // Who goes first changes, since the second may find warmer caches.
    const sides: [Sample[], Side | undefined][] = [
      [ours, prepared.ours],
      [peer, prepared.peer],
      [floor, prepared.floor],
    ];
    if (run % 2 === 1) sides.reverse();
    for (const [samples, side] of sides) {
      if (side === undefined) continue;
      const sample = await side();
      samples.push(sample);
      console.error(`  ${benchmark.name} run ${String(run + 1)}: ${sample.value.toFixed(2)}`);
    }
  }
  return toRow(benchmark, { ours, peer, floor });
}

function toRow(
  benchmark: Benchmark,
  { ours, peer, floor }: Record<'ours' | 'peer' | 'floor', readonly Sample[]>,
): Row {
  const values = (samples: readonly Sample[]): number | null =>
    median(samples.map((sample) => sample.value));
  const oursValue = values(ours) ?? Number.NaN;
  const peerValue = values(peer);
  const largest = (key: 'peakRssMb' | 'bytesSent' | 'wireBytes'): Record<string, number> => {
    const found = ours.map((sample) => sample[key]).filter((value) => value !== undefined);
    return found.length === 0 ? {} : { [key]: Math.max(...found) };
  };
  return {
    name: benchmark.name,
    ours: oursValue,
    peer: peerValue,
    ratio: peerValue === null ? null : oursValue / peerValue,
    floor: values(floor),
    unit: benchmark.unit,
    runs: benchmark.runs,
    ...largest('peakRssMb'),
    ...largest('bytesSent'),
    ...largest('wireBytes'),
  };
}

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
