/**
 * The programs that Debian has not, or not new enough: built from Go modules, once per machine.
 *
 * Each program set has a module of its own under `modules/`, as their dependency graphs do not fit
 * into one. Results are kept by what went into them, so another clone finds them ready.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { run, say, secondsSince } from './command.ts';
import { cacheFolder, sourceFolder } from './layout.ts';
import { withLock } from './lock.ts';

/** One Go module and the programs made of it. */
export interface GoModule {
  /** Folder under `modules/`. */
  name: string;
  version: string;
  /** Go packages to build; the program is named after the last element of the path. */
  packages: readonly string[];
  /** Further names of the first program, which acts as the one it is called by. */
  links?: readonly string[];
  tags?: string;
  linkerFlags?: string;
  /** Linked with C libraries, statically. */
  cgo?: boolean;
  /** Programs for people and tests: these go on PATH. */
  commands?: readonly string[];
}

const kubernetesVersion = 'k8s.io/component-base/version';

/** Everything that is built, in the order of building. */
export const goModules: readonly GoModule[] = [
  {
    name: 'runc',
    version: 'v1.4.3',
    packages: ['github.com/opencontainers/runc'],
    tags: 'netgo,osusergo,seccomp',
    linkerFlags: '-extldflags -static -X main.version=1.4.3',
    cgo: true,
  },
  {
    name: 'containerd',
    version: 'v2.2.9',
    packages: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map(
      (command) => `github.com/containerd/containerd/v2/cmd/${command}`,
    ),
    tags: 'no_btrfs,no_devmapper,no_zfs',
    linkerFlags: '-X github.com/containerd/containerd/v2/version.Version=v2.2.9',
  },
  {
    name: 'buildkit',
    version: 'v0.34.2',
    packages: ['cmd/buildkitd', 'cmd/buildctl', 'frontend/dockerfile/cmd/dockerfile-frontend'].map(
      (path) => `github.com/moby/buildkit/${path}`,
    ),
    tags: 'netgo,osusergo',
    linkerFlags: '-X github.com/moby/buildkit/version.Version=v0.34.2',
    commands: ['buildctl'],
  },
  {
    name: 'rootlesskit',
    version: 'v2.3.6',
    packages: ['github.com/rootless-containers/rootlesskit/v2/cmd/rootlesskit'],
  },
  {
    name: 'buildx',
    version: 'v0.38.2',
    packages: ['github.com/docker/buildx/cmd/buildx'],
    linkerFlags: '-X github.com/docker/buildx/version.Version=v0.38.2',
    commands: ['buildx'],
  },
  {
    name: 'act',
    version: 'v0.2.89',
    packages: ['github.com/nektos/act'],
    linkerFlags: '-X main.version=v0.2.89',
    commands: ['act'],
  },
  {
    name: 'actionlint',
    version: 'v1.7.12',
    packages: ['github.com/rhysd/actionlint/cmd/actionlint'],
    commands: ['actionlint'],
  },
  {
    name: 'kubernetes',
    version: 'v1.34.4',
    packages: ['local-cluster/kubernetes'],
    links: ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubectl'],
    tags: 'providerless',
    // Without a version of its own, Kubernetes' checks between its parts misbehave.
    linkerFlags:
      `-X ${kubernetesVersion}.gitVersion=v1.34.4 -X ${kubernetesVersion}.gitMajor=1 ` +
      `-X ${kubernetesVersion}.gitMinor=34 -X ${kubernetesVersion}.gitTreeState=clean`,
    commands: ['kubectl'],
  },
];

/** Where the programs are. */
export interface Binaries {
  /** Folder with what people and tests call; goes on PATH. */
  bin: string;
  /** Folder with everything, the daemons included. */
  libexec: string;
}

/** Builds what is missing and returns the folders with all programs. */
export async function provideBinaries(): Promise<Binaries> {
  const goVersion = (await run('go', ['env', 'GOVERSION'])).trim();
  const stamps = goModules.map((module) => stampOf(module, goVersion));
  const folder = join(cacheFolder(), 'programs', digest(stamps.join()));
  if (!existsSync(folder)) {
    // One builder at a time: two would take twice as long on the same cores for the same result.
    await withLock(join(cacheFolder(), 'build.lock'), async () => {
      say('Building from source what is not cached; all of it takes 12 minutes on two cores');
      for (const [index, module] of goModules.entries()) {
        await buildModule(module, moduleCache(module, stamps[index] ?? ''));
      }
      const built = goModules.map((module, index) => moduleCache(module, stamps[index] ?? ''));
      await publish(folder, (target) => linkPrograms(target, built));
    });
  }
  return { bin: join(folder, 'bin'), libexec: join(folder, 'libexec') };
}

/** Makes a folder by way of a temporary one, so that nobody ever sees it half-filled. */
export async function publish(
  folder: string,
  fill: (target: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  const temporary = await mkdtemp(`${folder}.tmp-`);
  try {
    await fill(temporary);
    // Whoever came first wins; what they made is the same.
    await rename(temporary, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Short digest for names of cache folders. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function moduleCache(module: GoModule, stamp: string): string {
  return join(cacheFolder(), 'builds', `${module.name}-${module.version}-${stamp}`);
}

function stampOf(module: GoModule, goVersion: string): string {
  const folder = join(sourceFolder, 'modules', module.name);
  const sources = readdirSync(folder).sort();
  const texts = sources.map((file) => readFileSync(join(folder, file), 'utf8'));
  return digest(JSON.stringify([goVersion, module, buildFlags(module), sources, texts]));
}

function buildFlags(module: GoModule): string[] {
  return [
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    `-tags=${module.tags ?? ''}`,
    `-ldflags=-s -w ${module.linkerFlags ?? ''}`,
  ];
}

async function buildModule(module: GoModule, folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const start = performance.now();
  say(`Building ${module.name} ${module.version}`);
  const ticker = setInterval(() => {
    say(`  still building ${module.name}, ${secondsSince(start)}`);
  }, 60_000);
  try {
    await publish(folder, async (target) => {
      await goBuild(module, target);
      const [first = ''] = module.packages;
      const program = programName(first);
      for (const link of module.links ?? []) await symlink(program, join(target, link));
    });
  } finally {
    clearInterval(ticker);
  }
  say(`Built ${module.name} in ${secondsSince(start)}`);
}

async function goBuild(module: GoModule, target: string): Promise<void> {
  // Low priority, as it takes minutes and people go on working meanwhile.
  await run(
    'nice',
    ['-n', '10', 'go', 'build', ...buildFlags(module), '-o', `${target}/`, ...module.packages],
    {
      cwd: join(sourceFolder, 'modules', module.name),
      env: {
        ...process.env,
        CGO_ENABLED: module.cgo === true ? '1' : '0',
        GOFLAGS: '',
        GOWORK: 'off',
      },
    },
  );
}

/** The name that `go build` gives a program: the path's last element that is no major version. */
function programName(packagePath: string): string {
  return packagePath.replace(/\/v\d+$/, '').replace(/^.*\//, '');
}

async function linkPrograms(target: string, built: readonly string[]): Promise<void> {
  const bin = join(target, 'bin');
  const libexec = join(target, 'libexec');
  await Promise.all([mkdir(bin), mkdir(libexec)]);
  const commands = new Set(goModules.flatMap((module) => module.commands ?? []));
  for (const folder of built) {
    for (const program of readdirSync(folder)) {
      const homes = commands.has(program) ? [bin, libexec] : [libexec];
      for (const home of homes) {
        await symlink(relative(home, join(folder, program)), join(home, program));
      }
    }
  }
}
