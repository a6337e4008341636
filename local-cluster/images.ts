/** The images that the cluster starts with: BuildKit, its rootless twin, busybox and small helpers. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { digest, publish } from './binaries.ts';
import type { Binaries } from './binaries.ts';
import { run, say, secondsSince } from './command.ts';
import { writeImage, writeIndex, writeLayer } from './image-store.ts';
import type { Descriptor, StoredImage } from './image-store.ts';
import { cacheFolder, sourceFolder } from './layout.ts';
import type { TarEntry } from './tar.ts';

const userId = 1000;

/** Programs of Debian's packages that go into images. */
const debianPrograms = {
  busybox: '/bin/busybox',
  catatonit: '/usr/bin/catatonit',
  newuidmap: '/usr/bin/newuidmap',
  newgidmap: '/usr/bin/newgidmap',
  certificates: '/etc/ssl/certs/ca-certificates.crt',
};

/** Where the images are, and which. */
export interface ImageSet {
  folder: string;
  images: StoredImage[];
}

/** Makes the images, or finds them in the cache. */
export async function provideImages(binaries: Binaries): Promise<ImageSet> {
  const arm64Busybox = await provideArm64Busybox();
  const inputs = [
    ...Object.values(debianPrograms),
    ...['images.ts', 'image-store.ts', 'tar.ts'].map((name) => join(sourceFolder, name)),
    ...(arm64Busybox === undefined ? [] : [arm64Busybox]),
  ];
  const contents = await Promise.all(inputs.map((path) => readFile(path, 'base64')));
  const stamp = digest(JSON.stringify([basename(join(binaries.bin, '..')), ...contents]));
  const folder = join(cacheFolder(), 'images', stamp);
  const start = performance.now();
  if (!existsSync(folder)) {
    say('Making images');
    await publish(folder, (target) => makeImages(target, binaries.libexec, arm64Busybox));
    say(`Made images in ${secondsSince(start)}`);
  }
  const list = await readFile(join(folder, 'images.json'), 'utf8');
  return { folder, images: JSON.parse(list) as StoredImage[] };
}

async function makeImages(
  folder: string,
  programs: string,
  arm64Busybox: string | undefined,
): Promise<void> {
  const applets = (await run('busybox', ['--list'])).trim().split('\n');
  const base = await writeLayer(folder, baseSystem(debianPrograms.busybox, applets));
  const buildkit = await writeLayer(folder, buildkitPrograms(programs));
  const images: StoredImage[] = [
    await pauseImage(folder),
    await busyboxImage(folder, base, applets, arm64Busybox),
    await buildkitImage(folder, [base, buildkit]),
    await rootlessImage(folder, programs, [base, buildkit]),
    await frontendImage(folder, programs),
  ];
  await writeFile(join(folder, 'images.json'), JSON.stringify(images, null, 2));
}

async function pauseImage(folder: string): Promise<StoredImage> {
  const layer = await writeLayer(folder, [program('catatonit', debianPrograms.catatonit)]);
  const config = { Entrypoint: ['/catatonit', '-P'] };
  const manifest = await writeImage(folder, 'amd64', config, [layer]);
  return { repository: 'local/pause', tags: ['1'], manifest, preload: true };
}

async function busyboxImage(
  folder: string,
  amd64: Descriptor,
  applets: readonly string[],
  arm64Busybox: string | undefined,
): Promise<StoredImage> {
  const config = { Cmd: ['sh'] };
  const manifests = [await writeImage(folder, 'amd64', config, [amd64])];
  if (arm64Busybox !== undefined) {
    const layer = await writeLayer(folder, baseSystem(arm64Busybox, applets));
    manifests.push(await writeImage(folder, 'arm64', config, [layer]));
  }
  return {
    repository: 'library/busybox',
    tags: ['latest', '1', '1.36'],
    manifest: await writeIndex(folder, manifests),
    preload: true,
  };
}

async function buildkitImage(folder: string, layers: readonly Descriptor[]): Promise<StoredImage> {
  const config = { Entrypoint: ['buildkitd'], Volumes: { '/var/lib/buildkit': {} } };
  return {
    repository: 'moby/buildkit',
    tags: ['buildx-stable-1', 'v0.34.2', 'latest'],
    manifest: await writeImage(folder, 'amd64', config, layers),
    preload: true,
  };
}

async function rootlessImage(
  folder: string,
  programs: string,
  layers: readonly Descriptor[],
): Promise<StoredImage> {
  const layer = await writeLayer(folder, await rootlessSystem(programs));
  const config = {
    User: `${userId}:${userId}`,
    Entrypoint: ['rootlesskit', 'buildkitd'],
    Env: [
      'HOME=/home/user',
      'USER=user',
      'XDG_RUNTIME_DIR=/run/user/1000',
      'TMPDIR=/home/user/.local/tmp',
      // buildctl looks for the daemon's socket where root's daemon has it unless told.
      'BUILDKIT_HOST=unix:///run/user/1000/buildkit/buildkitd.sock',
    ],
    Volumes: { '/home/user/.local/share/buildkit': {} },
  };
  return {
    repository: 'moby/buildkit',
    tags: ['buildx-stable-1-rootless', 'v0.34.2-rootless', 'rootless'],
    manifest: await writeImage(folder, 'amd64', config, [...layers, layer]),
    preload: true,
  };
}

/** The Dockerfile frontend, for files that begin with `# syntax=docker/dockerfile:1`. */
async function frontendImage(folder: string, programs: string): Promise<StoredImage> {
  const frontend = program('bin/dockerfile-frontend', join(programs, 'dockerfile-frontend'));
  const layer = await writeLayer(folder, [frontend]);
  const capabilities = ['inputs', 'subrequests', 'contexts'];
  const config = {
    Entrypoint: ['/bin/dockerfile-frontend'],
    Labels: {
      'moby.buildkit.frontend.network.none': 'true',
      'moby.buildkit.frontend.caps': capabilities
        .map((name) => `moby.buildkit.frontend.${name}`)
        .join(','),
    },
  };
  return {
    repository: 'docker/dockerfile',
    tags: ['1', 'latest'],
    manifest: await writeImage(folder, 'amd64', config, [layer]),
    preload: false,
  };
}

function baseSystem(busybox: string, applets: readonly string[]): TarEntry[] {
  return [
    ...['dev', 'etc', 'home', 'proc', 'run', 'sys', 'usr/bin', 'var/lib'].map((path) =>
      directory(path),
    ),
    directory('root', 0o700),
    directory('tmp', 0o1777),
    directory('var/tmp', 0o1777),
    program('bin/busybox', busybox),
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet) => symbolicLink(`bin/${applet}`, 'busybox')),
    symbolicLink('usr/bin/env', '../../bin/busybox'),
    text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    text('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
  ];
}

function buildkitPrograms(programs: string): TarEntry[] {
  return [
    program('usr/bin/buildkitd', join(programs, 'buildkitd')),
    program('usr/bin/buildctl', join(programs, 'buildctl')),
    program('usr/bin/buildkit-runc', join(programs, 'runc')),
    { ...program('etc/ssl/certs/ca-certificates.crt', debianPrograms.certificates), mode: 0o644 },
  ];
}

async function rootlessSystem(programs: string): Promise<TarEntry[]> {
  const owned = ['home/user', '.local', '.local/tmp', '.local/share', '.local/share/buildkit'];
  const libraries = await sharedLibraries([debianPrograms.newuidmap, debianPrograms.newgidmap]);
  const root = 'root:x:0:0:root:/root:/bin/sh\n';
  return [
    program('usr/bin/rootlesskit', join(programs, 'rootlesskit')),
    // With file capabilities rather than as setuid root: the latter needs CAP_SYS_ADMIN in the
    // bounding set to write a user namespace's mapping, which pods do not have.
    { ...program('usr/bin/newuidmap', debianPrograms.newuidmap), capability: fileCapability(7) },
    { ...program('usr/bin/newgidmap', debianPrograms.newgidmap), capability: fileCapability(6) },
    ...libraries.map((path) => program(path.slice(1), path)),
    ...owned.map((path, index) => ({
      ...directory(index === 0 ? path : `home/user/${path}`),
      owner: userId,
    })),
    directory('run/user'),
    { ...directory('run/user/1000', 0o700), owner: userId },
    text('etc/passwd', `${root}user:x:${userId}:${userId}:user:/home/user:/bin/sh\n`),
    text('etc/group', `root:x:0:\nuser:x:${userId}:\n`),
    text('etc/subuid', 'user:100000:65536\n'),
    text('etc/subgid', 'user:100000:65536\n'),
  ];
}

/** Value of `security.capability` for one permitted and effective capability below 32. */
function fileCapability(bit: number): Buffer {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x02000001, 0);
  value.writeUInt32LE(2 ** bit, 4);
  return value;
}

/** The shared libraries of the programs, and their loader, by the paths that they are looked up at. */
async function sharedLibraries(paths: readonly string[]): Promise<string[]> {
  const lines = (await run('ldd', paths)).split('\n');
  const found = lines.map((line) => /(?:=> |^\s+)(\/\S+) \(/.exec(line)?.[1]);
  return [...new Set(found.filter((path) => path !== undefined))];
}

/** Downloads busybox for arm64, without making arm64 an architecture of this machine. */
async function provideArm64Busybox(): Promise<string | undefined> {
  const version = await run('dpkg-query', ['-W', '-f', '${Version}', 'busybox-static']);
  const folder = join(cacheFolder(), 'busybox-arm64', digest(version));
  const path = join(folder, 'bin', 'busybox');
  if (existsSync(path)) return path;
  try {
    await publish(folder, downloadArm64Busybox);
    return path;
  } catch (error) {
    say(`No busybox for arm64, so its image is for amd64 only: ${(error as Error).message}`);
    return undefined;
  }
}

async function downloadArm64Busybox(target: string): Promise<void> {
  const apt = join(target, 'apt');
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true });
  const options = [
    'APT::Architecture=arm64',
    'APT::Architectures=arm64',
    `Dir::State::lists=${join(apt, 'lists')}`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${apt}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  await run('apt-get', ['-q', ...options, 'update'], { cwd: apt });
  await run('apt-get', ['-q', ...options, 'download', 'busybox-static'], { cwd: apt });
  const [archive] = (await readdir(apt)).filter((name) => name.endsWith('.deb'));
  await run('dpkg-deb', ['-x', join(apt, archive ?? ''), target]);
  await run('rm', ['-r', apt]);
}

function program(path: string, from: string): TarEntry {
  return { path, type: 'file', mode: 0o755, content: { from } };
}

function text(path: string, content: string): TarEntry {
  return { path, type: 'file', mode: 0o644, content: Buffer.from(content) };
}

function symbolicLink(path: string, target: string): TarEntry {
  return { path, type: 'link', mode: 0o777, target };
}

function directory(path: string, mode = 0o755): TarEntry {
  return { path, type: 'folder', mode };
}
