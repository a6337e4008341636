/** Container images as files: an OCI image layout that layers and manifests are written to. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { tarArchive } from './tar.ts';
import type { TarEntry } from './tar.ts';

const mediaTypes = {
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
};

/** Points to a blob by its digest. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string };
  annotations?: Record<string, string>;
}

/** An image under its names, without registry: `repository` is `library/busybox` or the like. */
export interface StoredImage {
  repository: string;
  tags: string[];
  manifest: Descriptor;
  /** Whether nodes have it from the start, without a pull. */
  preload: boolean;
}

/** The parts of an image configuration that we set. */
export interface ImageConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  Volumes?: Record<string, object>;
}

/** What a manifest or an index points to, as far as it has it. */
export interface ManifestContent {
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

/** Path of a blob in the layout. */
export function blobPath(folder: string, digest: string): string {
  return join(folder, 'blobs', ...digest.split(':'));
}

/** Reads a manifest or an index. */
export async function readManifest(
  folder: string,
  descriptor: Descriptor,
): Promise<ManifestContent> {
  const text = await readFile(blobPath(folder, descriptor.digest), 'utf8');
  return JSON.parse(text) as ManifestContent;
}

/** Writes a layer with the entries, and the folders on their way. */
export async function writeLayer(
  folder: string,
  entries: readonly TarEntry[],
): Promise<Descriptor> {
  const temporary = join(folder, `layer-${entries.length}-${process.hrtime.bigint()}`);
  const hash = createHash('sha256');
  let size = 0;
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  await pipeline(
    tarArchive(withParents(entries)),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        hash.update(piece);
        size += piece.length;
        yield piece;
      }
    },
    createWriteStream(temporary),
  );
  const digest = `sha256:${hash.digest('hex')}`;
  await rename(temporary, blobPath(folder, digest));
  return { mediaType: mediaTypes.layer, digest, size };
}

function* withParents(entries: readonly TarEntry[]): Generator<TarEntry> {
  const seen = new Set(['.', '']);
  for (const entry of entries) {
    const missing: string[] = [];
    for (let path = dirname(entry.path); !seen.has(path); path = dirname(path)) missing.push(path);
    for (const path of missing.reverse()) {
      seen.add(path);
      yield { path, type: 'folder', mode: 0o755 };
    }
    if (entry.type === 'folder') seen.add(entry.path);
    yield entry;
  }
}

/** Writes the manifest of an image for one platform. */
export async function writeImage(
  folder: string,
  architecture: string,
  config: ImageConfig,
  layers: readonly Descriptor[],
): Promise<Descriptor> {
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const content = {
    created: '1970-01-01T00:00:00Z',
    architecture,
    os: 'linux',
    config: { ...config, Env: [path, ...(config.Env ?? [])] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'local-cluster' })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: await writeJson(folder, mediaTypes.config, content),
    layers,
  };
  const descriptor = await writeJson(folder, mediaTypes.manifest, manifest);
  return { ...descriptor, platform: { os: 'linux', architecture } };
}

/** Writes the index that joins the images of several platforms. */
export async function writeIndex(
  folder: string,
  manifests: readonly Descriptor[],
): Promise<Descriptor> {
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
  return writeJson(folder, mediaTypes.index, index);
}

async function writeJson(folder: string, mediaType: string, value: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(blobPath(folder, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

/**
 * The images as one archive for `ctr images import`.
 *
 * @param names - the full references that each image is to have.
 */
export async function imageArchive(
  folder: string,
  images: readonly StoredImage[],
  names: (image: StoredImage) => string[],
): Promise<AsyncGenerator<Buffer>> {
  const digests = new Set<string>();
  for (const image of images) await collectBlobs(folder, image.manifest, digests);
  const manifests = images.flatMap((image) =>
    names(image).map((name) => ({
      ...image.manifest,
      annotations: { 'io.containerd.image.name': name },
    })),
  );
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
  const file = (path: string, content: TarEntry['content']): TarEntry => ({
    path,
    type: 'file',
    mode: 0o644,
    ...(content && { content }),
  });
  return tarArchive([
    file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')),
    file('index.json', Buffer.from(JSON.stringify(index))),
    ...[...digests].map((digest) =>
      file(`blobs/${digest.replace(':', '/')}`, { from: blobPath(folder, digest) }),
    ),
  ]);
}

async function collectBlobs(folder: string, top: Descriptor, into: Set<string>): Promise<void> {
  into.add(top.digest);
  const { config, layers = [], manifests = [] } = await readManifest(folder, top);
  for (const blob of [...(config ? [config] : []), ...layers]) into.add(blob.digest);
  for (const manifest of manifests) await collectBlobs(folder, manifest, into);
}
