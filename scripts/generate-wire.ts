/**
 * Generates the message codecs of `src/wire/gen/` from `proto/`, offline and deterministically.
 *
 * An argument names another output folder, which the test uses to compare. The folder is replaced
 * as a whole, so a file whose `.proto` is gone does not stay behind.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = join(import.meta.dirname, '..');
const outFolder = resolve(process.argv[2] ?? join(root, 'src', 'wire', 'gen'));

const tsProtoOptions: readonly string[] = [
  // The same output whatever the versions of buf and ts-proto say about themselves.
  'annotateFilesWithVersion=false',
  // Names exactly as BuildKit spells them, in messages and on our screens.
  'snakeToCamel=false',
  // `bytes` are Buffers; 64-bit numbers hold nanoseconds, which a double cannot.
  'env=node',
  'forceLong=bigint',
  // A missing timestamp differs from zero, and Date would lose its nanoseconds.
  'useDate=false',
  'useOptionals=messages',
  // Types that Node can erase.
  'enumsAsLiterals=true',
  'unrecognizedEnum=false',
  'esModuleInterop=true',
  'importSuffix=.ts',
  // Descriptions of services that need no gRPC library; `src/wire/rpc.ts` makes them callable.
  'outputServices=generic-definitions',
  'outputJsonMethods=false',
  'exportCommonSymbols=false',
];

const template = {
  version: 'v2',
  clean: true,
  plugins: [
    {
      local: [process.execPath, join(root, 'node_modules/ts-proto/build/src/plugin.js')],
      out: outFolder,
      // The well-known types that ours mention.
      include_imports: true,
      opt: tsProtoOptions,
    },
  ],
};

const buf = join(root, 'node_modules/@bufbuild/buf/bin/buf');
const { status, error } = spawnSync(
  process.execPath,
  [buf, 'generate', join(root, 'proto'), '--template', JSON.stringify(template)],
  { cwd: root, stdio: 'inherit' },
);
if (error) throw error;
process.exitCode = status ?? 1;
