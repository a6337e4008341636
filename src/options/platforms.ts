import { invalidInput } from './errors.ts';
import { didYouMean } from './nearest-name.ts';
import type { Platform } from './options.ts';

// The lists of the Go tool chain, as github.com/containerd/platforms has them.
const operatingSystems = new Set(
  `aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris
   windows zos`.split(/\s+/),
);
const architectures = new Set(
  `386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le
   mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm`.split(/\s+/),
);
/** Short, since it ends up in names of the cluster. */
const variantForm = /^v?\d{1,2}(\.\d)?$/;
const form = 'os/arch[/variant] such as linux/amd64 or linux/arm/v7';

/**
 * Parses one platform and normalises it as containerd does; throws an `InputError`.
 *
 * `local` and a missing part stand for the runner's platform.
 */
export function parsePlatform(input: string, text: string, runner: Platform): Platform {
  const specifier = text.toLowerCase();
  if (specifier === 'local') return runner;
  const parts = specifier.split('/');
  const [first = '', second, variant = ''] = parts;
  if (
    parts.length > 3 ||
    parts.some((part) => !/^[a-z0-9_.-]+$/.test(part)) ||
    (variant !== '' && !variantForm.test(variant))
  ) {
    throw invalidInput({ input, value: text, problem: 'is not a platform', expected: form });
  }
  const os = first === 'macos' ? 'darwin' : first;
  if (second === undefined) {
    if (operatingSystems.has(os)) return { ...runner, os };
    return { os: runner.os, ...knownArchitecture(input, text, normalise(first, '')) };
  }
  if (!operatingSystems.has(os)) {
    throw unknown(input, text, { what: 'operating system', name: os, known: operatingSystems });
  }
  return { os, ...knownArchitecture(input, text, normalise(second, variant)) };
}

/** A platform as BuildKit writes it, such as `linux/arm/v7`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/');
}

type Architecture = Omit<Platform, 'os'>;

const aliases: ReadonlyMap<string, Architecture> = new Map([
  ['i386', { architecture: '386', variant: '' }],
  ['aarch64', { architecture: 'arm64', variant: '' }],
  ['x86_64', { architecture: 'amd64', variant: '' }],
  ['x86-64', { architecture: 'amd64', variant: '' }],
  ['armhf', { architecture: 'arm', variant: 'v7' }],
  ['armel', { architecture: 'arm', variant: 'v6' }],
]);

/** By `architecture/variant`; all others stay as they are. */
const normalVariants: ReadonlyMap<string, string> = new Map([
  ['amd64/v1', ''],
  ['arm64/8', ''],
  ['arm64/v8', ''],
  ['arm64/v8.0', ''],
  ['arm64/9', 'v9'],
  ['arm64/9.0', 'v9'],
  ['arm64/v9.0', 'v9'],
  ['arm/', 'v7'],
  ['arm/5', 'v5'],
  ['arm/6', 'v6'],
  ['arm/7', 'v7'],
  ['arm/8', 'v8'],
]);

function normalise(name: string, variant: string): Architecture {
  const alias = aliases.get(name);
  // `armhf` and `armel` name their variant and `i386` has none; the other aliases take one.
  const fixed = alias !== undefined && (alias.architecture === 'arm' || name === 'i386');
  if (fixed) return alias;
  const architecture = alias?.architecture ?? name;
  const normal = normalVariants.get(`${architecture}/${variant}`);
  return { architecture, variant: normal ?? variant };
}

function knownArchitecture(input: string, text: string, parsed: Architecture): Architecture {
  if (architectures.has(parsed.architecture)) return parsed;
  throw unknown(input, text, {
    what: 'architecture',
    name: parsed.architecture,
    known: architectures,
  });
}

function unknown(
  input: string,
  text: string,
  { what, name, known }: { what: string; name: string; known: ReadonlySet<string> },
) {
  return invalidInput({
    input,
    value: text,
    problem: `has the unknown ${what} \`${name}\``,
    expected: form,
    hint: didYouMean(name, known),
  });
}
