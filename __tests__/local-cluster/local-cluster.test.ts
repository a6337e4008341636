/** The local cluster's command line on the real machine: what it brings up, heals and removes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const stateFolder = '/var/lib/kube-buildx-cluster';
const environmentFile = join(root, '.cluster', 'env.json');
const minutes = 60_000;

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

function cluster(...args: string[]): Result {
  const script = join(root, 'local-cluster', 'cluster.ts');
  return spawnSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8' });
}

function up(...args: string[]): void {
  const { status, stderr } = cluster('up', ...args);
  if (status !== 0) throw new Error(`up failed: ${stderr}`);
}

interface Environment {
  kubeconfig: string;
  registry: string;
  nodes: { name: string; arch: string }[];
  images: { buildkit: string; buildkitRootless: string };
  buildkitdConfig: string;
  bin: string;
}

function environment(): Environment {
  return JSON.parse(readFileSync(environmentFile, 'utf8')) as Environment;
}

function kubectl(...args: string[]): string {
  const { bin, kubeconfig } = environment();
  const command = ['--kubeconfig', kubeconfig, ...args];
  const result = spawnSync(join(bin, 'kubectl'), command, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
}

/** Runs a pod to its end and returns what it printed. */
function runPod(name: string, arch: string, command: string): string {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeSelector: { 'kubernetes.io/arch': arch },
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'busybox:1.36', command: ['sh', '-c', command] }],
    },
  };
  const { bin, kubeconfig } = environment();
  const apply = ['--kubeconfig', kubeconfig, 'create', '-f', '-'];
  spawnSync(join(bin, 'kubectl'), apply, { input: JSON.stringify(pod) });
  kubectl('wait', `pod/${name}`, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=30s');
  const log = kubectl('logs', name);
  kubectl('delete', 'pod', name);
  return log;
}

/** Starts a pod with the BuildKit image and the configuration that the cluster provides. */
function startBuildkit(name: string, image: string, settings: object): void {
  const { buildkitdConfig } = environment();
  kubectl('create', 'configmap', name, `--from-file=${buildkitdConfig}`);
  const container = {
    name: 'main',
    image,
    volumeMounts: [{ name: 'config', mountPath: '/config' }],
    readinessProbe: { exec: { command: ['buildctl', 'debug', 'workers'] }, periodSeconds: 1 },
    ...settings,
  };
  const volumes = [{ name: 'config', configMap: { name } }];
  const overrides = JSON.stringify({ spec: { containers: [container], volumes } });
  kubectl('run', name, `--image=${image}`, `--overrides=${overrides}`);
  kubectl('wait', `pod/${name}`, '--for=condition=Ready', '--timeout=30s');
}

/** Builds from a Dockerfile in a pod, for both architectures, and pushes the image. */
function build(pod: string, dockerfile: string, image: string): void {
  const script = `mkdir /tmp/context && cd /tmp/context && cat >Dockerfile && buildctl build \
    --frontend dockerfile.v0 --local context=. --local dockerfile=. \
    --opt platform=linux/amd64,linux/arm64 --output type=image,name=${image},push=true`;
  const { bin, kubeconfig } = environment();
  const args = ['--kubeconfig', kubeconfig, 'exec', '-i', pod, '--', 'sh', '-c', script];
  const result = spawnSync(join(bin, 'kubectl'), args, { input: dockerfile, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`build failed: ${result.stderr}`);
}

/** Processes that work on the cluster's state or sit in its control groups. */
function ourProcesses(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => {
      const isDaemon = readProcess(pid, 'cmdline').includes(`${stateFolder}/`);
      return isDaemon || readProcess(pid, 'cgroup').includes('/kube-buildx-');
    })
    .map(Number);
}

function readProcess(pid: string, file: string): string {
  try {
    // A process that has ended but whose parent has not noticed is a zombie, not a survivor.
    const isZombie = readFileSync(join('/proc', pid, 'status'), 'utf8').includes('State:\tZ');
    return isZombie ? '' : readFileSync(join('/proc', pid, file), 'utf8');
  } catch {
    return '';
  }
}

function asRoot(...command: string[]): string {
  const [program = '', ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  return stdout;
}

/** Everything of the cluster that can be seen on the machine, by kind. */
function traces(): Record<string, unknown> {
  const output = (...command: string[]): string[] => asRoot(...command).split('\n');
  const rules = ['filter', 'nat'].flatMap((table) => output('iptables', '-t', table, '-S'));
  return {
    processes: ourProcesses(),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(stateFolder)),
    links: readdirSync('/sys/class/net').filter((name) => name.startsWith('kbx')),
    namespacesInUse: output('lsns', '-n', '-t', 'net', '-o', 'NSFS').filter((line) =>
      line.includes(stateFolder),
    ),
    routes: output('ip', 'route').filter((line) => /10\.8[89]\./.test(line)),
    rules: rules.filter((rule) => rule.includes('kube-buildx')),
    cgroups: globSync('/sys/fs/cgroup/{,*/}kube-buildx-*'),
    emulators: existsSync('/proc/sys/fs/binfmt_misc/kube-buildx-arm64'),
    state: existsSync(stateFolder),
  };
}

const nothing = {
  processes: [],
  mounts: [],
  links: [],
  namespacesInUse: [],
  routes: [],
  rules: [],
  cgroups: [],
  emulators: false,
  state: false,
};

beforeAll(() => {
  up();
}, 30 * minutes);

// Whatever a test has left: suites that run later expect the cluster.
afterAll(() => {
  up();
}, 5 * minutes);

describe('up', () => {
  it('brings up a node of each architecture', () => {
    const names =
      'jsonpath={range .items[*]}{.metadata.name}={.status.nodeInfo.architecture} {end}';
    expect(kubectl('get', 'nodes', '-o', names)).toBe('node-a=amd64 node-b=arm64');
    expect(environment().nodes).toEqual([
      { name: 'node-a', arch: 'amd64' },
      { name: 'node-b', arch: 'arm64' },
    ]);
  });

  it.each(['amd64', 'arm64'])(
    'runs pods on the %s node that reach the registry and the API server',
    (arch) => {
      const { registry } = environment();
      const command = `wget -qO- http://${registry}/v2/_catalog && nc -w 1 10.96.0.1 443 </dev/null && echo connected`;
      const log = runPod(`reach-${arch}`, arch, command);
      expect(log).toContain('"moby/buildkit"');
      expect(log).toContain('connected');
    },
    minutes,
  );

  it('offers busybox for both architectures in the registry', async () => {
    const { registry } = environment();
    const answer = await fetch(`http://${registry}/v2/library/busybox/manifests/latest`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    const index = (await answer.json()) as { manifests: { platform: { architecture: string } }[] };
    const architectures = index.manifests.map((manifest) => manifest.platform.architecture);
    expect(architectures).toEqual(['amd64', 'arm64']);
  });

  it(
    'refuses images that the registry does not have instead of waiting for a network',
    () => {
      kubectl('run', 'unknown-image', '--image=registry.invalid/team/app:1');
      const reason = '{.status.containerStatuses[0].state.waiting.reason}';
      kubectl('wait', 'pod/unknown-image', `--for=jsonpath=${reason}=ErrImagePull`);
      kubectl('delete', 'pod', 'unknown-image', '--grace-period=0', '--force');
    },
    minutes,
  );

  it.each([
    [
      'buildkit',
      { args: ['--config=/config/buildkitd.toml'], securityContext: { privileged: true } },
    ],
    [
      'buildkitRootless',
      {
        args: ['--config=/config/buildkitd.toml', '--oci-worker-no-process-sandbox'],
        securityContext: {
          seccompProfile: { type: 'Unconfined' },
          appArmorProfile: { type: 'Unconfined' },
        },
      },
    ],
  ] as const)(
    'provides a %s image that builds for both architectures',
    async (kind, settings) => {
      const { images, registry } = environment();
      const pod = kind.toLowerCase();
      startBuildkit(pod, images[kind], settings);
      const dockerfile = '# syntax=docker/dockerfile:1\nFROM busybox\nRUN uname -m >/machine\n';
      build(pod, dockerfile, `${registry}/local-cluster-test/${pod}`);
      kubectl('delete', `pod/${pod}`, `configmap/${pod}`, '--grace-period=1');
      const answer = await fetch(`http://${registry}/v2/local-cluster-test/${pod}/tags/list`);
      expect(await answer.json()).toMatchObject({ tags: ['latest'] });
    },
    2 * minutes,
  );

  it('does nothing when the cluster runs', () => {
    // The status names the process of every daemon.
    const before = { status: cluster('status').stdout, environment: environment() };
    up();
    expect({ status: cluster('status').stdout, environment: environment() }).toEqual(before);
  });

  it('refuses what it does not understand', () => {
    expect(cluster('up', '--nodes', '3')).toMatchObject({ status: 1, stdout: '' });
    expect(cluster('sideways')).toMatchObject({ status: 1, stdout: '' });
  });
});

describe('env', () => {
  it('prints exports that a shell can evaluate, and nothing else', () => {
    const { status, stdout } = cluster('env');
    expect(status).toBe(0);
    const script = `${stdout}\necho "$KUBECONFIG $KBA_REGISTRY $KBA_BUILDKIT_IMAGE"; command -v kubectl`;
    const shell = spawnSync('sh', ['-euc', script], { encoding: 'utf8' });
    const { kubeconfig, registry, images, bin } = environment();
    const expected = `${kubeconfig} ${registry} ${images.buildkit}\n${join(bin, 'kubectl')}\n`;
    expect(shell.stdout).toBe(expected);
  });
});

describe('a cluster that was killed', () => {
  it(
    'is unhealthy, and comes back with the next up',
    () => {
      kubectl('run', 'survivor', '--image=busybox:1.36', '--', 'sleep', '1000');
      kubectl('wait', 'pod/survivor', '--for=condition=Ready', '--timeout=30s');
      // Some end with others that are killed before them, hence `true`.
      asRoot('sh', '-c', `kill -9 ${ourProcesses().join(' ')}; true`);
      expect(cluster('status').status).toBe(1);
      up();
      expect(cluster('status').status).toBe(0);
      expect(kubectl('get', 'pods')).toBe('');
    },
    3 * minutes,
  );
});

describe('down', () => {
  it(
    'leaves nothing behind, also with pods running',
    () => {
      kubectl('run', 'left', '--image=busybox:1.36', '--', 'sleep', '1000');
      kubectl('wait', 'pod/left', '--for=condition=Ready', '--timeout=30s');
      expect(cluster('down').status).toBe(0);
      expect(traces()).toEqual(nothing);
      expect(existsSync(environmentFile)).toBe(false);
      expect(cluster('status').status).toBe(1);
      expect(cluster('env')).toMatchObject({ status: 1, stdout: '' });
    },
    3 * minutes,
  );

  it('does no harm when nothing is there', () => {
    expect(cluster('down').status).toBe(0);
  });
});

describe('two ups at the same time', () => {
  it(
    'agree on one cluster of one node',
    () => {
      const script = join(root, 'local-cluster', 'cluster.ts');
      const both = '"$0" "$1" up --nodes 1 & "$0" "$1" up --nodes 1 && wait $!';
      const { status, stderr } = spawnSync('sh', ['-c', both, process.execPath, script], {
        encoding: 'utf8',
      });
      expect(status).toBe(0);
      expect(stderr.match(/The cluster is up/g)).toHaveLength(1);
      expect(environment().nodes).toEqual([{ name: 'node-a', arch: 'amd64' }]);
      expect(kubectl('get', 'nodes', '-o', 'name')).toBe('node/node-a');
    },
    3 * minutes,
  );
});
