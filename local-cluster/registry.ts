/** The image registry: the daemon, and filling it with the images that builds start from. */
import { createReadStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { ClusterError } from './command.ts';
import { blobPath, readManifest } from './image-store.ts';
import type { Descriptor } from './image-store.ts';
import type { ImageSet } from './images.ts';
import { registryAddress, statePath } from './layout.ts';
import { startDaemon, waitForDaemon } from './processes.ts';

/** Starts the registry with the images in it. */
export async function startRegistry(set: ImageSet): Promise<void> {
  const configuration = {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: statePath('registry') },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: registryAddress },
  };
  await mkdir(statePath('registry'), { recursive: true });
  // JSON is YAML, too.
  await writeFile(statePath('registry.yml'), JSON.stringify(configuration));
  startDaemon({
    name: 'registry',
    command: 'docker-registry',
    args: ['serve', statePath('registry.yml')],
  });
  await waitForDaemon('registry', 'the registry', async () =>
    (await registryAnswers()) ? true : undefined,
  );
  for (const { repository, tags, manifest } of set.images) {
    for (const tag of tags) await pushManifest(set.folder, repository, manifest, tag);
  }
}

/** Whether the registry answers. */
export async function registryAnswers(): Promise<boolean> {
  return send('GET', '/v2/').then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function pushManifest(
  folder: string,
  repository: string,
  descriptor: Descriptor,
  reference: string,
): Promise<void> {
  const { config, layers = [], manifests = [] } = await readManifest(folder, descriptor);
  for (const blob of [...(config ? [config] : []), ...layers]) {
    await pushBlob(folder, repository, blob);
  }
  for (const manifest of manifests) {
    await pushManifest(folder, repository, manifest, manifest.digest);
  }
  const body = await readFile(blobPath(folder, descriptor.digest));
  const { mediaType } = descriptor;
  const path = `/v2/${repository}/manifests/${reference}`;
  await expect(
    201,
    'PUT',
    path,
    { 'content-type': mediaType, 'content-length': body.length },
    body,
  );
}

async function pushBlob(folder: string, repository: string, blob: Descriptor): Promise<void> {
  const present = await send('HEAD', `/v2/${repository}/blobs/${blob.digest}`);
  if (present.status === 200) return;
  const { location } = await expect(202, 'POST', `/v2/${repository}/blobs/uploads/`);
  const target = new URL(location ?? '', `http://${registryAddress}`);
  target.searchParams.set('digest', blob.digest);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': blob.size };
  const content = createReadStream(blobPath(folder, blob.digest), { highWaterMark: 1024 * 1024 });
  await expect(201, 'PUT', target.pathname + target.search, headers, content);
}

interface Answer {
  status: number;
  location: string | undefined;
  text: string;
}

async function expect(status: number, ...message: Parameters<typeof send>): Promise<Answer> {
  const answer = await send(...message);
  if (answer.status === status) return answer;
  const [method, path] = message;
  throw new ClusterError(`Registry: ${method} ${path}: ${answer.status} ${answer.text}`);
}

async function send(
  method: string,
  path: string,
  headers: Record<string, string | number> = {},
  body: Buffer | Readable = Buffer.alloc(0),
): Promise<Answer> {
  const [hostname, port] = registryAddress.split(':');
  const call = request({ method, hostname, port, path, headers, timeout: 10_000 });
  call.once('timeout', () => call.destroy(new Error('time-out')));
  const answered = new Promise<Answer>((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk: string) => (text += chunk));
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, text });
      });
    });
  });
  // The answer matters more than the upload: an early refusal breaks the pipe.
  const sent = pipeline(body instanceof Readable ? body : [body], call).catch(() => undefined);
  const [answer] = await Promise.all([answered, sent]);
  return answer;
}
