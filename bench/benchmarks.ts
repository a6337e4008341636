import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { Job, type Step } from '../scripts/action-runner.ts';
import { clusterInputs } from '../scripts/find-cluster.ts';
import { type BenchContext, largeFileContext, manyFilesContext, smallContext } from './contexts.ts';
import type { Benchmark, Place, Prepared, Sample } from './measure.ts';
import { OurBuilder, readTransfer } from './ours.ts';
import { buildctl, Buildx, findPod, runTool } from './peers.ts';

const root = join(import.meta.dirname, '..');

/** All benchmarks, in the order they run. */
export const benchmarks: readonly Benchmark[] = [
  {
    name: 'start',
    what: 'node on the main entry to the first input error; floor: node alone',
    unit: 'ms',
    runs: 15,
    prepare: prepareStart,
  },
  {
    name: 'cold-start',
    what: 'no builder to first answered RPC; peer: buildx create --bootstrap',
    unit: 's',
    runs: 3,
    prepare: prepareColdStart,
  },
  {
    name: 'noop-build',
    what: 'whole process, nothing changed, builder up, pushed; peer: buildx build',
    unit: 's',
    runs: 9,
    prepare: prepareNoopBuild,
  },
  {
    name: 'upload-300m-exec',
    what: 'one file of 300 MB, all of it new; peer: buildx build',
    unit: 's',
    runs: 5,
    prepare: async (place) => prepareUpload(place, await largeFileContext(), 'exec'),
  },
  {
    name: 'upload-300m-port-forward',
    what: 'the same through a forwarded port, with mutual TLS inside',
    unit: 's',
    runs: 5,
    prepare: async (place) => prepareUpload(place, await largeFileContext(), 'port-forward'),
  },
  {
    name: 'upload-300m-direct',
    what: 'the same to the address of the pod, with mutual TLS',
    unit: 's',
    runs: 5,
    prepare: async (place) => prepareUpload(place, await largeFileContext(), 'direct'),
  },
  {
    name: 'upload-20k-exec',
    what: '20 000 files of 4 KB, all of them new; peer: buildx build',
    unit: 's',
    runs: 5,
    prepare: (place) => prepareUpload(place, manyFilesContext(), 'exec'),
  },
  {
    name: 'upload-20k-direct',
    what: 'the same to the address of the pod, with mutual TLS',
    unit: 's',
    runs: 5,
    prepare: (place) => prepareUpload(place, manyFilesContext(), 'direct'),
  },
  {
    name: 'pool-start',
    what: 'main start to first answered RPC on a pool that is up; peer: buildx inspect --bootstrap',
    unit: 's',
    runs: 9,
    prepare: preparePoolStart,
  },
];

function prepareStart({ cluster }: Place): Promise<Prepared> {
  const job = new Job({ workspace: root, env: { KUBECONFIG: cluster.kubeconfig } });
  return Promise.resolve({
    ours: () =>
      seconds(async () => {
        const { exitCode, log } = await job.step({ push: 'perhaps' }).main().done;
        if (exitCode === 0 || !log.includes('push')) throw new Error(`no input error:\n${log}`);
      }, 1000),
    floor: () => seconds(() => runNode(['--eval', '']), 1000),
    [Symbol.asyncDispose]: () => {
      job[Symbol.dispose]();
      return Promise.resolve();
    },
  });
}

/** Ours ends where the log says that the daemon answered; the floor polls a bare pod with kubectl. */
async function prepareColdStart(place: Place): Promise<Prepared> {
  const context = smallContext();
  await using stack = new AsyncDisposableStack();
  stack.use(context);
  const buildx = stack.use(new Buildx(place));
  const prepared = stack.move();
  return {
    ours: async () => {
      const job = new Job({
        workspace: context.path,
        env: { KUBECONFIG: place.cluster.kubeconfig },
      });
      const step = job.step(clusterInputs(place.cluster, place.namespace));
      try {
        return await untilAnswered(step);
      } finally {
        await step.post().done;
        job[Symbol.dispose]();
      }
    },
    peer: async () => {
      const name = `cold-${randomBytes(3).toString('hex')}`;
      const sample = await seconds(() => buildx.create(name));
      await buildx.remove(name);
      return sample;
    },
    floor: () => barePod(place),
    [Symbol.asyncDispose]: () => prepared.disposeAsync(),
  };
}

async function barePod(place: Place): Promise<Sample> {
  const name = `floor-${randomBytes(3).toString('hex')}`;
  const image = place.cluster.image ?? 'moby/buildkit:buildx-stable-1';
  const namespaced = ['--namespace', place.namespace];
  const startedMs = performance.now();
  await runTool(place, 'kubectl', ['run', name, ...namespaced, '--image', image, '--privileged']);
  for (;;) {
    const debug = ['exec', name, ...namespaced, '--', 'buildctl', 'debug', 'workers'];
    const answered = await runTool(place, 'kubectl', debug).then(
      () => true,
      () => false,
    );
    if (answered) break;
  }
  const value = (performance.now() - startedMs) / 1000;
  await runTool(place, 'kubectl', ['delete', 'pod', name, ...namespaced, '--now', '--wait=false']);
  return { value };
}

async function prepareNoopBuild(place: Place): Promise<Prepared> {
  const tag = `${place.cluster.registry}/bench/noop:${randomBytes(4).toString('hex')}`;
  return prepareBuild(place, smallContext(), {
    inputs: { tags: tag, push: 'true' },
    flags: ['--tag', `${tag}-peer`, '--push'],
    output: ['--output', `type=image,name=${tag}-floor,push=true`],
  });
}

function prepareUpload(
  place: Place,
  context: BenchContext,
  connection: 'exec' | 'port-forward' | 'direct',
): Promise<Prepared> {
  return prepareBuild(place, context, { inputs: { connection }, flags: [], output: [] });
}

/** Each run is another job, which knows of the pool no more than its name. */
async function preparePoolStart(place: Place): Promise<Prepared> {
  const context = smallContext();
  await using stack = new AsyncDisposableStack();
  stack.use(context);
  const buildx = stack.use(new Buildx(place));
  const peerName = `peer-${randomBytes(3).toString('hex')}`;
  await buildx.create(peerName);
  stack.defer(() => buildx.remove(peerName));
  const inputs = { name: `pool-${randomBytes(3).toString('hex')}`, cleanup: 'false' };
  const run = async (): Promise<Sample> => {
    const job = new Job({ workspace: context.path, env: { KUBECONFIG: place.cluster.kubeconfig } });
    const step = job.step({ ...clusterInputs(place.cluster, place.namespace), ...inputs });
    try {
      return await untilAnswered(step);
    } finally {
      await step.post().done;
      job[Symbol.dispose]();
    }
  };
  await run();
  const prepared = stack.move();
  return {
    ours: run,
    peer: () => seconds(() => buildx.inspect(peerName)),
    [Symbol.asyncDispose]: () => prepared.disposeAsync(),
  };
}

/** From the start of main to where the log says that the daemon answered. */
async function untilAnswered(step: Step): Promise<Sample> {
  const startedMs = performance.now();
  const running = step.main();
  await running.logged(/BuildKit \S+ answered/);
  const value = (performance.now() - startedMs) / 1000;
  await running.done;
  return { value };
}

interface Build {
  readonly inputs: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  readonly output: readonly string[];
}

/** Both builders up and one build done on each side, so that only the build itself is measured. */
async function prepareBuild(place: Place, context: BenchContext, build: Build): Promise<Prepared> {
  await using stack = new AsyncDisposableStack();
  stack.use(context);
  const ours = stack.use(new OurBuilder(place, context.path));
  const buildx = stack.use(new Buildx(place));
  const peerName = `peer-${randomBytes(3).toString('hex')}`;
  await buildx.create(peerName);
  stack.defer(() => buildx.remove(peerName));
  const oursName = await ours.name(build.inputs);
  await findPod(place, oursName);
  const local = ['--frontend', 'dockerfile.v0', '--local', `context=${context.path}`];
  const buildFloor = (): Promise<void> =>
    buildctl(place, oursName, [...local, '--local', `dockerfile=${context.path}`, ...build.output]);
  await buildx.build(peerName, context.path, build.flags);
  await buildFloor();
  const prepared = stack.move();
  return {
    ours: async () => {
      context.renew();
      const startedMs = performance.now();
      const { log, peakRssMb } = await ours.build(build.inputs);
      return { value: (performance.now() - startedMs) / 1000, peakRssMb, ...readTransfer(log) };
    },
    peer: () => {
      context.renew();
      return seconds(() => buildx.build(peerName, context.path, build.flags));
    },
    floor: () => {
      context.renew();
      return seconds(buildFloor);
    },
    [Symbol.asyncDispose]: () => prepared.disposeAsync(),
  };
}

async function seconds(work: () => Promise<void>, unitsPerSecond = 1): Promise<Sample> {
  const startedMs = performance.now();
  await work();
  return { value: ((performance.now() - startedMs) / 1000) * unitsPerSecond };
}

async function runNode(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      resolve();
    });
  });
}
