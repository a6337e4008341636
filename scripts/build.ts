/**
 * Bundles the action into `dist/`, or with `--check` compares `dist/` with what the sources give.
 *
 * ncc makes one bundle with lazily loaded chunks and collects the licences (`src/tsconfig.json` is for
 * it: it joins ES modules into one, and knows packages that are nothing else); esbuild makes every file
 * of it small. `main.js` and `post.js` are a few lines each around `load.js`, so that the runner's two
 * processes share the bundle and a post step can never run main again.
 */
import ncc from '@vercel/ncc';
import { transform, type TransformOptions } from 'esbuild';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** The files that an `action.yml` names, and what each calls. */
const entries = [
  ['main', 'main'],
  ['post', 'post'],
  ['setup-main', 'setup'],
  ['setup-post', 'post'],
] as const;
const bundled = { loader: 'js', format: 'cjs' } as const;

if (process.argv.includes('--check')) await check();
else await build(dist);

async function build(folder: string): Promise<void> {
  const files = await bundle();
  await rm(folder, { recursive: true, force: true });
  let sizeBytes = 0;
  for (const [name, content] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
    sizeBytes += content.length;
  }
  console.log(`${String(files.size)} files, ${(sizeBytes / 1e6).toFixed(2)} MB`);
}

async function bundle(): Promise<Map<string, Buffer>> {
  const { code, assets } = await ncc(join(root, 'src', 'index.ts'), {
    cache: false,
    // For `load.js`, since Node keeps no compiled code of ES modules that have run.
    esm: false,
    // The stubs of grpc-js are all that is used: see `src/buildkit/grpc-stubs.ts`.
    externals: { './internal-channel': 'node:events' },
    license: 'licenses.txt',
    quiet: true,
    transpileOnly: true,
  });
  const files = new Map<string, Buffer>();
  files.set('bundle/index.js', await minify(code, bundled));
  for (const [name, { source }] of Object.entries(assets)) {
    // grpc-js brings the definitions of services that nobody here asks for.
    if (/^(?:proto|protoc-gen-validate|xds)\//.test(name)) continue;
    const content = Buffer.from(source);
    const isCode = name.endsWith('.js');
    files.set(`bundle/${name}`, isCode ? await minify(content.toString(), bundled) : content);
  }
  files.set('bundle/package.json', Buffer.from('{ "type": "commonjs" }\n'));
  const licenses = files.get('bundle/licenses.txt')?.toString() ?? '';
  files.set('bundle/licenses.txt', Buffer.from(licenses + missingLicenses(licenses)));
  const loader = await readFile(join(root, 'src', 'load.ts'), 'utf8');
  files.set('load.js', await minify(loader, { loader: 'ts', format: 'esm' }));
  const hash = createHash('sha256');
  for (const content of files.values()) hash.update(content);
  const id = hash.digest('hex').slice(0, 16);
  for (const [file, step] of entries) files.set(`${file}.js`, Buffer.from(entry(step, id)));
  return files;
}

/** The licences of dependencies that ncc did not find, in its own format. */
function missingLicenses(found: string): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; license?: string }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && existsSync(join(root, path)))
    .map(([path, { license = '' }]) => ({ path, license, name: packageName(path) }))
    .filter(({ name, license }) => !`\n${found}`.includes(`\n${name}\n${license}\n`))
    .map(({ path, license, name }) => `${name}\n${license}\n${licenseText(join(root, path))}\n\n`)
    .join('');
}

function packageName(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function licenseText(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e(?:\.|$)/i.test(name));
  return file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trimEnd();
}

/**
 * Keeps compiled code for the later steps of the job, in a folder that no other job sees.
 *
 * `id` tells bundles apart: V8 looks at no more of a source than its length.
 */
function entry(step: string, id: string): string {
  return [
    `import { Bundle } from './load.js';`,
    `const { RUNNER_TEMP } = process.env;`,
    `const keptIn = RUNNER_TEMP && \`\${RUNNER_TEMP}/kube-buildx/compiled/${id}\`;`,
    `const bundle = new Bundle(\`\${import.meta.dirname}/bundle\`, keptIn);`,
    `await bundle.require('./index.js').${step}();`,
    // What a failed step has run is less than the next one needs.
    ...(step === 'post' ? [] : [`if (!process.exitCode) bundle.keep();`]),
    '',
  ].join('\n');
}

/** Names of classes and functions survive: stack traces and `error.name` stay readable. */
async function minify(
  code: string,
  kind: Required<Pick<TransformOptions, 'format' | 'loader'>>,
): Promise<Buffer> {
  const result = await transform(code, {
    ...kind,
    minify: true,
    keepNames: true,
    target: 'node24',
    legalComments: 'inline',
  });
  return Buffer.from(result.code);
}

async function check(): Promise<void> {
  const fresh = await mkdtemp(join(tmpdir(), 'dist-check-'));
  try {
    await build(fresh);
    const [wanted, actual] = await Promise.all([readTree(fresh), readTree(dist)]);
    const differing = [...new Set([...wanted.keys(), ...actual.keys()])].filter(
      (name) => !(wanted.has(name) && actual.get(name)?.equals(wanted.get(name)!) === true),
    );
    if (differing.length > 0) {
      console.error(`dist/ is not what the sources give; run \`npm run build\`:`);
      for (const name of differing) console.error(`  ${name}`);
      process.exitCode = 1;
    }
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function readTree(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  return new Map(
    await Promise.all(
      files.map(async (entry): Promise<[string, Buffer]> => {
        const path = join(entry.parentPath, entry.name);
        return [relative(folder, path), await readFile(path)];
      }),
    ),
  );
}
