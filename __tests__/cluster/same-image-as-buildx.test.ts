import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

import { Job } from '../../scripts/action-runner.ts';
import { createNamespace, type TestNamespace } from '../../scripts/cluster-namespace.ts';
import { clusterInputs, findCluster } from '../../scripts/find-cluster.ts';
import { ContextFolder, type ContextSpec } from '../helpers/context-folder.ts';
import { Peer } from '../helpers/peer.ts';

interface Case {
  readonly name: string;
  readonly files: ContextSpec;
  /** Below the folder that `files` are made in; default: the folder itself. */
  readonly context?: string;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

const archive = await tarball({ 'inside/a.txt': 'a', 'inside/b.txt': 'b' });

const cases: readonly Case[] = [
  {
    name: 'a whole folder',
    files: { Dockerfile: 'FROM scratch\nCOPY . /\n', 'a.txt': 'a', 'sub/b.txt': 'b', empty: '' },
  },
  {
    name: 'a step that runs',
    files: { Dockerfile: 'FROM busybox\nCOPY in /in\nRUN tr a-z A-Z </in >/out\n', in: 'hello' },
  },
  {
    name: 'an ignore file with negations',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      '.dockerignore':
        '\uFEFF# comment\n*\n!keep\n!deep/**/x.txt\n  !spaced.txt  \n**/*.log\n!important.log\n/keep/not\n',
      'keep/a': 'a',
      'keep/not': 'n',
      'keep/b.log': 'l',
      'deep/one/two/x.txt': 'x',
      'deep/one/y.txt': 'y',
      'spaced.txt': 's',
      'important.log': 'i',
      'gone.txt': 'g',
    },
  },
  {
    name: 'an ignore file of the Dockerfile',
    files: {
      'build/app.Dockerfile': 'FROM scratch\nCOPY . /\n',
      'build/app.Dockerfile.dockerignore': 'build\nno*\n',
      '.dockerignore': 'yes*\n',
      'yes.txt': 'y',
      'no.txt': 'n',
    },
    inputs: { file: 'build/app.Dockerfile' },
    flags: ['--file', 'build/app.Dockerfile'],
  },
  {
    name: 'symbolic links',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      'real/file': 'f',
      relative: { symlink: 'real/file' },
      absolute: { symlink: '/real/file' },
      dangling: { symlink: 'nowhere' },
      outside: { symlink: '../../etc/passwd' },
      folder: { symlink: 'real' },
      loop: { symlink: 'loop' },
    },
  },
  {
    name: 'sources behind symbolic links',
    files: {
      Dockerfile: 'FROM scratch\nCOPY current/app /app\nCOPY via/*.txt /txt/\n',
      'releases/2/app': 'two',
      current: { symlink: 'releases/2' },
      'texts/a.txt': 'a',
      'texts/b.txt': { symlink: '../releases/2/app' },
      via: { symlink: '/texts' },
    },
  },
  {
    name: 'hard links',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      'a-first': 'same',
      'b-second': { hardlink: 'a-first' },
      'c/third': { hardlink: 'a-first' },
    },
  },
  {
    name: 'hard links whose first name is ignored',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      '.dockerignore': 'a-first\n',
      'a-first': 'same',
      'b-second': { hardlink: 'a-first' },
      'c/third': { hardlink: 'a-first' },
    },
  },
  {
    name: 'modes',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      setuid: { text: 's', mode: 0o4755 },
      setgid: { text: 's', mode: 0o2755 },
      private: { text: 'p', mode: 0o600 },
      open: { text: 'o', mode: 0o777 },
      nothing: { text: 'n', mode: 0o000 },
      sticky: { folder: true, mode: 0o1777 },
      closed: { folder: true, mode: 0o700 },
    },
  },
  {
    name: 'odd names',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      'with space': '1',
      'quo\'te"s': '2',
      'new\nline': '3',
      'ünïcode/日本': '4',
      '-dash': '5',
      '[brackets]': '6',
      'star*': '7',
      'back\\slash': '8',
      'latin1:caf\xe9': '9',
      'latin1:\xff/inner': '10',
      '%41+b': '11',
    },
  },
  {
    name: 'an order of names that JavaScript gets wrong',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      'a/b': '1',
      'a-b': '2',
      'a.b': '3',
      a0: '4',
      '\uFF5E': '5',
      '😀': '6',
      '\uE000/x': '7',
    },
  },
  {
    name: 'stages and a target',
    files: {
      Dockerfile: [
        'FROM busybox AS one',
        'RUN echo one >/one',
        'FROM busybox AS two',
        'RUN exit 1',
        'FROM scratch AS three',
        'COPY --from=one /one /',
        'FROM scratch AS four',
        'COPY --from=two /x /',
        '',
      ].join('\n'),
    },
    inputs: { target: 'three' },
    flags: ['--target', 'three'],
  },
  {
    name: 'heredocs',
    files: {
      Dockerfile: [
        'FROM busybox',
        'COPY <<EOF /greeting',
        'hello $PATH',
        'EOF',
        "RUN <<'EOF'",
        'set -e',
        'echo "$0" >/shell',
        'EOF',
        'COPY <<-"one" <<two /many/',
        '\tfirst',
        'one',
        'second',
        'two',
        '',
      ].join('\n'),
    },
  },
  {
    name: 'build arguments and labels',
    files: {
      Dockerfile: [
        'ARG BASE=scratch',
        'FROM ${BASE}',
        'ARG WHO=nobody',
        'ARG EMPTY=full',
        'ARG TARGETARCH',
        'LABEL who=$WHO arch=$TARGETARCH empty="$EMPTY"',
        'RUN echo "$WHO" >/who',
        '',
      ].join('\n'),
    },
    inputs: {
      'build-args': 'BASE=busybox\nWHO=some body, and=more\nEMPTY=',
      labels: 'org.example.a=1\norg.example.b=x=y,z\norg.example.none',
    },
    flags: [
      ['--build-arg', 'BASE=busybox', '--build-arg', 'WHO=some body, and=more'],
      ['--build-arg', 'EMPTY='],
      ['--label', 'org.example.a=1', '--label', 'org.example.b=x=y,z'],
      ['--label', 'org.example.none'],
    ].flat(),
  },
  {
    name: 'a Dockerfile outside the context',
    files: { 'docker/Dockerfile': 'FROM scratch\nCOPY . /\n', 'app/a': 'a', 'other/b': 'b' },
    context: 'app',
    inputs: { context: 'app', file: 'docker/Dockerfile' },
    flags: ['--file', '../docker/Dockerfile'],
  },
  {
    name: 'a lower-case dockerfile',
    files: { dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' },
  },
  {
    name: 'wildcards',
    files: {
      Dockerfile: 'FROM scratch\nCOPY *.txt ?x [ab]/* /\nCOPY none* real /opt/\n',
      '1.txt': '1',
      '2.txt': '2',
      ax: 'ax',
      'a/1': 'a1',
      'b/2': 'b2',
      'c/3': 'c3',
      real: 'r',
    },
  },
  {
    name: 'flags of COPY and ADD',
    files: {
      Dockerfile: [
        'FROM busybox',
        'COPY --chown=7:8 --chmod=0640 a /owned',
        'COPY --parents deep/./x/*.txt /parents/',
        'COPY --exclude=*.md docs /docs',
        'ADD archive.tar.gz /unpacked',
        'ADD --chmod=755 a /added',
        '',
      ].join('\n'),
      a: 'a',
      'deep/x/1.txt': '1',
      'docs/a.md': 'm',
      'docs/b.txt': 't',
      'archive.tar.gz': archive,
    },
  },
  {
    name: 'mounts of the context',
    files: {
      Dockerfile: [
        'FROM busybox',
        'RUN --mount=type=bind,source=src,target=/src cat /src/* >/all',
        'RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c ls /t /c >/listing',
        '',
      ].join('\n'),
      'src/1': 'one',
      'src/2': 'two',
      unused: 'u',
    },
  },
  {
    name: 'pipes, sockets and empty folders',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      pipe: { fifo: true },
      socket: { socket: true },
      'empty/one': { folder: true },
      'empty/two': { folder: true },
    },
  },
  {
    name: 'limits and hosts of steps',
    files: {
      Dockerfile: [
        'FROM busybox',
        'RUN grep db /etc/hosts >/hosts; ulimit -n >/nofile; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2 >/shm',
        '',
      ].join('\n'),
    },
    inputs: { 'add-hosts': 'db:10.0.0.7,db6=[::7]', ulimit: 'nofile=100:200', 'shm-size': '5m' },
    flags: [
      ['--add-host', 'db:10.0.0.7', '--add-host', 'db6=[::7]'],
      ['--ulimit', 'nofile=100:200', '--shm-size', '5m'],
    ].flat(),
  },
  {
    name: 'no network, no cache, a platform',
    files: {
      Dockerfile: 'FROM busybox AS a\nRUN ls /sys/class/net >/net\nFROM a AS b\nRUN echo b >/b\n',
    },
    inputs: { network: 'none', 'no-cache-filters': 'b', platforms: 'linux/amd64', pull: 'true' },
    flags: ['--network', 'none', '--no-cache-filter', 'b', '--platform', 'linux/amd64', '--pull'],
  },
  {
    name: 'many files and one that is larger than a packet',
    files: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      ...Object.fromEntries(
        Array.from({ length: 1500 }, (_, index) => [
          `many/${String(index % 7)}/${String(index)}`,
          `content ${String(index)}`.repeat(index % 50),
        ]),
      ),
      large: Buffer.alloc(3_000_001, 'large'),
    },
  },
  {
    name: 'attributes of the exporter',
    files: { Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa' },
    inputs: { outputs: 'type=image,compression=zstd,force-compression=true,oci-mediatypes=true' },
    flags: [],
  },
];

const tagSuffix = randomBytes(4).toString('hex');
const cluster = findCluster();
let namespace: TestNamespace;
let peer: Peer;

beforeAll(async () => {
  namespace = await createNamespace(cluster, 'kbx-test-same-image');
  peer = new Peer(cluster, namespace.name);
}, 120_000);

afterAll(async () => {
  peer[Symbol.dispose]();
  await namespace[Symbol.asyncDispose]();
}, 60_000);

describe('the same build by buildx and by us', () => {
  // Kept to the end: post runs in the workspace of its step.
  const stack = new AsyncDisposableStack();
  let hasBuilder = false;
  let jobId: Readonly<Record<string, string>> = {};

  afterAll(async () => {
    await stack.disposeAsync();
  }, 60_000);

  it.each(cases)(
    'gives the same digest: $name',
    async (each) => {
      const folder = stack.use(new ContextFolder(each.files));
      const index = cases.indexOf(each);
      const reference = (side: string): string =>
        `${cluster.registry}/same/${side}-${String(index)}:${tagSuffix}`;
      const { outputs = 'type=image', ...inputs } = each.inputs ?? {};
      const exported = (name: string): string =>
        `${outputs},name=${name},push=true,rewrite-timestamp=true`;

      const theirs = peer.build(join(folder.path, each.context ?? '.'), [
        ...(each.flags ?? []),
        '--output',
        exported(reference('theirs')),
      ]);
      expect(theirs).toMatchObject({ exitCode: 0 });

      // One job for all cases, so that its first step's builder serves them all.
      const job = stack.use(
        new Job({
          workspace: folder.path,
          env: { KUBECONFIG: cluster.kubeconfig, SOURCE_DATE_EPOCH: '0', ...jobId },
        }),
      );
      const step = job.step({
        ...clusterInputs(cluster, namespace.name),
        ...inputs,
        outputs: exported(reference('ours')),
      });
      if (!hasBuilder) stack.defer(() => step.post().done.then(() => undefined));
      hasBuilder = true;
      const ours = await step.main().done;
      jobId = { ...jobId, ...job.exported };
      expect(ours).toMatchObject({ exitCode: 0, signal: null });
      expect(ours.outputs.digest).toBe(theirs.digest);
      expect(ours.outputs.imageid).toBe(theirs.metadata['containerimage.config.digest']);
    },
    60_000,
  );
});

async function tarball(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) {
    tar.entry({ name, mtime: new Date(1_600_000_000_000) }, content);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}
