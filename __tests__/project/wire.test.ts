/**
 * Our `.proto` files against the definitions compiled into the Go modules of the local cluster's
 * BuildKit, and the generated code against our `.proto` files.
 */
import { afterAll, describe, expect, it } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const moduleFolder = join(root, 'local-cluster', 'modules', 'buildkit');

/** Which Go file has the compiled definition of each of our files; fsutil's are two. */
const upstreamFiles: Readonly<Record<string, readonly string[]>> = {
  'github.com/moby/buildkit': [
    'api/services/control/control.pb.go',
    'api/types/worker.pb.go',
    'solver/pb/ops.pb.go',
    'sourcepolicy/pb/policy.pb.go',
    'session/filesync/filesync.pb.go',
    'session/auth/auth.pb.go',
  ],
  'github.com/tonistiigi/fsutil': ['types/wire.pb.go', 'types/stat.pb.go'],
  'google.golang.org/grpc': ['health/grpc_health_v1/health.pb.go'],
  'google.golang.org/genproto/googleapis/rpc': ['status/status.pb.go'],
};

/** Every deliberate difference: what we say, then what upstream says (undefined: left out). */
const documentedDifferences: Readonly<Record<string, readonly (string | undefined)[]>> = {
  // File names need not be UTF-8.
  'fsutil.types.Stat 1': ['bytes path', 'string path'],
  'fsutil.types.Stat 7': ['bytes linkname', 'string linkname'],
  // Operations that we neither write nor read.
  'pb.Op 2': [undefined, '.pb.ExecOp exec in op'],
  'pb.Op 4': [undefined, '.pb.FileOp file in op'],
  'pb.Op 5': [undefined, '.pb.BuildOp build in op'],
  'pb.Op 6': [undefined, '.pb.MergeOp merge in op'],
  'pb.Op 7': [undefined, '.pb.DiffOp diff in op'],
  'pb.Op 8': [undefined, '.pb.PassthroughOp passthrough in op'],
};

const goVersion = spawnSync('go', ['version'], { encoding: 'utf8' });
const hasGo = goVersion.error === undefined && goVersion.status === 0;
const mustRun = process.env.CI === 'true';
if (!hasGo && !mustRun) {
  console.warn('Go is not on this machine: our protos were not compared with BuildKit.');
}

describe('proto/ against the Go modules of BuildKit', () => {
  const compared = hasGo || mustRun ? it : it.skip;

  compared('has the same numbers, types, labels, enum values and methods', () => {
    if (!hasGo) throw new Error('Go is needed to read the definitions of BuildKit, and is missing');
    const ours = factsOf(compileProtos());
    const theirs = factsOf(readUpstream());
    const differences: Record<string, readonly (string | undefined)[]> = {};
    for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
      // Definitions that we do not have at all are none of our business.
      const owner = key.slice(0, key.lastIndexOf(' '));
      if (!ours.has(owner)) continue;
      const [our, their] = [ours.get(key), theirs.get(key)];
      if (our !== their) differences[key] = [our, their];
    }
    expect(differences).toEqual(documentedDifferences);
    // Guards against comparing nothing with nothing.
    expect(ours.get('moby.buildkit.v1.SolveRequest 13')).toBe(
      'repeated .moby.buildkit.v1.Exporter Exporters',
    );
    expect(ours.get('moby.buildkit.v1.Control Status')).toBe(
      '.moby.buildkit.v1.StatusRequest → stream .moby.buildkit.v1.StatusResponse',
    );
  });
});

describe('src/wire/gen/', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'wire-gen-'));
  afterAll(() => {
    rmSync(fresh, { recursive: true, force: true });
  });

  it('is what `npm run generate` makes of proto/', () => {
    run(process.execPath, [join(root, 'scripts', 'generate-wire.ts'), fresh]);
    const wanted = readTree(fresh);
    const actual = readTree(join(root, 'src', 'wire', 'gen'));
    expect(Object.keys(actual)).toEqual(Object.keys(wanted));
    expect(Object.keys(wanted)).toContain('control.ts');
    expect(Object.keys(wanted).filter((name) => wanted[name] !== actual[name])).toEqual([]);
  });
});

/** One line per definition and per part of it, keyed by what must be unique on the wire. */
function factsOf(files: readonly FileDescriptorProto[]): Map<string, string> {
  const facts = new Map<string, string>();
  for (const file of files) {
    for (const message of file.messageType) addMessage(facts, file.package, message);
    for (const enumeration of file.enumType) addEnum(facts, file.package, enumeration);
    for (const service of file.service) {
      const name = `${file.package}.${service.name}`;
      facts.set(name, 'service');
      for (const method of service.method) {
        const request = `${method.clientStreaming ? 'stream ' : ''}${method.inputType}`;
        const response = `${method.serverStreaming ? 'stream ' : ''}${method.outputType}`;
        facts.set(`${name} ${method.name}`, `${request} → ${response}`);
      }
    }
  }
  return facts;
}

function addMessage(facts: Map<string, string>, scope: string, message: DescriptorProto): void {
  const name = `${scope}.${message.name}`;
  facts.set(name, message.options?.mapEntry === true ? 'map entry' : 'message');
  for (const field of message.field) {
    facts.set(`${name} ${field.number}`, describeField(message, field));
  }
  for (const nested of message.nestedType) addMessage(facts, name, nested);
  for (const enumeration of message.enumType) addEnum(facts, name, enumeration);
}

function addEnum(facts: Map<string, string>, scope: string, enumeration: EnumDescriptorProto) {
  const name = `${scope}.${enumeration.name}`;
  facts.set(name, 'enum');
  for (const value of enumeration.value) facts.set(`${name} ${value.number}`, value.name);
}

function describeField(message: DescriptorProto, field: FieldDescriptorProto): string {
  const repeated = field.label === FieldDescriptorProto_Label.REPEATED ? 'repeated ' : '';
  const optional = field.proto3Optional ? 'optional ' : '';
  const type =
    field.typeName === '' ? FieldDescriptorProto_Type[field.type].toLowerCase() : field.typeName;
  // Protobuf's default index is 0, so only the presence of the field tells of a oneof.
  const oneof = Object.hasOwn(field, 'oneofIndex')
    ? ` in ${message.oneofDecl[field.oneofIndex]!.name}`
    : '';
  return `${repeated}${optional}${type} ${field.name}${oneof}`;
}

function compileProtos(): FileDescriptorProto[] {
  const buf = join(root, 'node_modules', '@bufbuild', 'buf', 'bin', 'buf');
  const image = run(process.execPath, [buf, 'build', join(root, 'proto'), '-o', '-']);
  return fromBinary(FileDescriptorSetSchema, image).file.filter(
    (file) => file.package !== 'google.protobuf',
  );
}

function readUpstream(): FileDescriptorProto[] {
  const paths = Object.keys(upstreamFiles);
  // One JSON object per module, without commas between them.
  const text = run('go', ['mod', 'download', '-json', ...paths], moduleFolder).toString();
  const modules = JSON.parse(`[${text.replaceAll(/^\}\n\{/gm, '},{')}]`) as {
    Path: string;
    Dir: string;
  }[];
  expect(modules.map(({ Path }) => Path)).toEqual(paths);
  return modules.flatMap(({ Path, Dir }) =>
    upstreamFiles[Path]!.map((file) => descriptorInGo(join(Dir, file))),
  );
}

/** Reads the serialized descriptor that protoc-gen-go leaves in its output. */
function descriptorInGo(path: string): FileDescriptorProto {
  const source = readFileSync(path, 'utf8');
  const [, literals] = /_rawDesc = ""((?:\s*\+\s*"(?:[^"\\\n]|\\.)*")+)/.exec(source) ?? [];
  if (literals !== undefined) {
    const pieces = [...literals.matchAll(/"((?:[^"\\\n]|\\.)*)"/g)];
    const bytes = Buffer.concat(pieces.map(([, piece]) => goString(piece!)));
    return fromBinary(FileDescriptorProtoSchema, bytes);
  }
  // Older versions of protoc-gen-go write a list of bytes.
  const [, list] = /_rawDesc = \[\]byte\{([^}]*)\}/.exec(source) ?? [];
  if (list === undefined) throw new Error(`${path} has no descriptor in a form we know`);
  return fromBinary(
    FileDescriptorProtoSchema,
    Buffer.from((list.match(/0x[0-9a-f]{2}/g) ?? []).map(Number)),
  );
}

/** The bytes of a Go string literal, given without its quotes. */
function goString(literal: string): Buffer {
  const simple: Readonly<Record<string, string>> = {
    a: '\x07',
    b: '\b',
    f: '\f',
    n: '\n',
    r: '\r',
    t: '\t',
    v: '\v',
  };
  const tokens = literal.match(/\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\.|[^\\]+/g) ?? [];
  return Buffer.concat(
    tokens.map((token) => {
      if (token.startsWith('\\x')) return Buffer.from(token.slice(2), 'hex');
      if (token.startsWith('\\u')) {
        return Buffer.from(String.fromCharCode(Number.parseInt(token.slice(2), 16)));
      }
      if (token.startsWith('\\')) return Buffer.from(simple[token[1]!] ?? token[1]!);
      return Buffer.from(token);
    }),
  );
}

function readTree(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    files.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]),
  );
}

function run(command: string, args: readonly string[], cwd = root): Buffer {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stderr.toString()}`);
  return stdout;
}
