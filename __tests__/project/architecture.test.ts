import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const sources = join(root, 'src');

/** What each folder may import of ours; `type:` means types only. */
const folders: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  wire: [],
  options: ['shared'],
  credentials: ['shared', 'type:options'],
  kubernetes: ['shared', 'type:options'],
  remote: ['shared', 'type:options'],
  session: ['shared', 'wire', 'credentials', 'type:options'],
  buildkit: ['shared', 'wire'],
  solve: ['shared', 'wire', 'buildkit', 'session', 'type:options'],
  progress: ['shared', 'wire'],
  action: ['shared', 'options', 'type:solve', 'type:progress'],
  '.': [
    'shared',
    'wire',
    'options',
    'credentials',
    'kubernetes',
    'remote',
    'session',
    'buildkit',
    'solve',
    'progress',
    'action',
    '.',
  ],
};

/** Who may import which package; every package not listed here is refused. */
const packages: Readonly<Record<string, readonly string[]>> = {
  '@actions/core': ['action/'],
  '@actions/exec': ['credentials/'],
  '@actions/cache': ['cache/'],
  '@actions/http-client': ['session/'],
  '@bufbuild/protobuf/wire': ['wire/'],
  '@grpc/grpc-js': [],
  '@grpc/grpc-js/build/src/channel-credentials.js': ['buildkit/grpc-stubs'],
  '@grpc/grpc-js/build/src/channel.js': ['buildkit/grpc-stubs'],
  '@grpc/grpc-js/build/src/client.js': ['buildkit/grpc-stubs'],
  '@grpc/grpc-js/build/src/connectivity-state.js': ['buildkit/grpc-stubs'],
  '@grpc/grpc-js/build/src/constants.js': ['buildkit/grpc-stubs'],
  '@grpc/grpc-js/build/src/metadata.js': ['buildkit/grpc-stubs'],
  '@kubernetes/client-node': ['kubernetes/kube-'],
  '@peculiar/asn1-schema': ['kubernetes/connection/'],
  '@peculiar/asn1-x509': ['kubernetes/connection/'],
  'csv-parse/sync': ['options/'],
  'smol-toml': ['kubernetes/'],
  yaml: ['options/', 'kubernetes/'],
};

/** Packages whose types alone are free to use: they take long to load. */
const typesOf: Readonly<Record<string, string>> = {
  '@grpc/grpc-js': 'buildkit/',
  '@kubernetes/client-node': 'kubernetes/',
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const imports = readImports();

describe('import rules', () => {
  it('finds the imports', () => {
    expect(imports.length).toBeGreaterThan(20);
  });

  it('keeps folders to the neighbours they may know', () => {
    expect(imports.filter(isOurs).filter(breaksFolderRule).map(describeImport)).toEqual([]);
  });

  it('keeps packages to the folders that own them', () => {
    expect(
      imports
        .filter((each) => !isOurs(each))
        .filter(breaksPackageRule)
        .map(describeImport),
    ).toEqual([]);
  });

  it('has no barrels', () => {
    const barrels = sourceFiles().filter(
      (file) => file.endsWith('/index.ts') && dirname(file) !== sources,
    );
    expect(barrels).toEqual([]);
  });
});

function isOurs({ specifier }: Import): boolean {
  return specifier.startsWith('.');
}

function breaksFolderRule({ file, specifier, typeOnly }: Import): boolean {
  const from = folderOf(file);
  const to = folderOf(relative(sources, join(sources, dirname(file), specifier)));
  if (from === to) return false;
  const allowed = folders[from];
  if (allowed === undefined) return true;
  return !allowed.includes(to) && !(typeOnly && allowed.includes(`type:${to}`));
}

function breaksPackageRule({ file, specifier, typeOnly }: Import): boolean {
  if (specifier.startsWith('node:')) return false;
  const owners = packages[specifier];
  if (owners === undefined) return true;
  if (owners.some((owner) => file.startsWith(owner))) return false;
  const users = typesOf[specifier];
  return !(typeOnly && users !== undefined && file.startsWith(users));
}

function describeImport({ file, specifier }: Import): string {
  return `src/${file} must not import ${specifier}`;
}

/** First part of a path below `src/`; `.` for files in `src/` itself. */
function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '.';
}

function sourceFiles(): string[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(sources, name));
}

function readImports(): Import[] {
  return sourceFiles().flatMap((path) => {
    const file = relative(sources, path);
    const text = readFileSync(path, 'utf8');
    const statements = text.matchAll(
      /^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)';|^import\s+'([^']+)';|import\('([^']+)'\)/gm,
    );
    return [...statements].map((match): Import => ({
      file,
      specifier: match[2] ?? match[3] ?? match[4] ?? '',
      typeOnly: match[1] !== undefined || isTypePosition(text, match),
    }));
  });
}

/** `typeof import('…')` and `import('…').Name` stand for types and are erased. */
function isTypePosition(text: string, match: RegExpExecArray): boolean {
  if (match[4] === undefined) return false;
  const end = match.index + match[0].length;
  return (
    text.slice(0, match.index).trimEnd().endsWith('typeof') || /^\.[A-Z]/.test(text.slice(end))
  );
}
