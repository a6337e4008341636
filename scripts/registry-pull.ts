import { createHash } from 'node:crypto';

/** What a pull brought, every byte checked against its digest. */
export interface PulledImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: unknown;
  readonly layers: number;
  readonly sizeBytes: number;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** Pulls a single-platform image `host:port/name:tag` over plain HTTP. */
export async function pullImage(reference: string): Promise<PulledImage> {
  const { host, name, tag } = splitReference(reference);
  const { bytes, mediaType } = await get(`http://${host}/v2/${name}/manifests/${tag}`);
  const manifest = JSON.parse(bytes.toString()) as { config: Descriptor; layers: Descriptor[] };
  let sizeBytes = 0;
  for (const blob of [manifest.config, ...manifest.layers]) {
    const { bytes: content } = await get(`http://${host}/v2/${name}/blobs/${blob.digest}`);
    if (digestOf(content) !== blob.digest) throw new Error(`${blob.digest} has other bytes`);
    sizeBytes += content.length;
  }
  return {
    digest: digestOf(bytes),
    mediaType,
    manifest,
    layers: manifest.layers.length,
    sizeBytes,
  };
}

function splitReference(reference: string): { host: string; name: string; tag: string } {
  const slash = reference.indexOf('/');
  const colon = reference.lastIndexOf(':');
  return {
    host: reference.slice(0, slash),
    name: reference.slice(slash + 1, colon),
    tag: reference.slice(colon + 1),
  };
}

async function get(url: string): Promise<{ bytes: Buffer; mediaType: string }> {
  const response = await fetch(url, {
    headers: {
      accept: [
        'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.docker.distribution.manifest.v2+json',
        'application/octet-stream',
        '*/*',
      ].join(', '),
    },
  });
  if (!response.ok) throw new Error(`GET ${url}: ${String(response.status)}`);
  const mediaType = response.headers.get('content-type') ?? '';
  return { bytes: Buffer.from(await response.arrayBuffer()), mediaType };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
