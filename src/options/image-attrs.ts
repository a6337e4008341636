import { isGoTrue, parseGoBoolean } from '../shared/go-boolean.ts';
import { InputError, invalidInput, quote } from './errors.ts';
import { nearestName } from './nearest-name.ts';

type Attrs = Readonly<Record<string, string>>;

/** Booleans that an empty value switches on. */
const flags = new Set([
  'danging-name-empty-only',
  'force-compression',
  'name-canonical',
  'push',
  'push-by-digest',
  'registry.insecure',
  'store',
  'unpack',
]);
const booleans = new Set([
  'attestation-inline',
  'oci-artifact',
  'oci-mediatypes',
  'prefer-image-digest',
  'prefer-nondist-layers',
  'rewrite-timestamp',
]);
const texts = new Set([
  'buildinfo-attrs',
  'compression',
  'compression-level',
  'dangling-name-prefix',
  'name',
  'source-date-epoch',
]);
const compressions = ['uncompressed', 'gzip', 'estargz', 'zstd'];
const annotation =
  /^annotation(?:-(?:index|index-descriptor|manifest|manifest-descriptor))?(?:\[[A-Za-z0-9_/-]+\])?\.\S+$/;

/** Whether a flag of an exporter is on; present but empty means on. */
export function isTrueAttr(value: string | undefined): boolean {
  return value === '' || (value !== undefined && isGoTrue(value));
}

/**
 * Checks the attributes of an image output the way the daemon will.
 *
 * Throws an `InputError` for what the daemon refuses; returns warnings for what it ignores.
 */
export function checkImageAttrs(attrs: Attrs): string[] {
  const warnings: string[] = [];
  for (const [key, value] of Object.entries(attrs)) {
    if (flags.has(key) || booleans.has(key)) checkBoolean(key, value);
    else if (key.startsWith('annotation')) checkAnnotation(key);
    else if (texts.has(key)) checkText(key, value);
    else warnings.push(describeUnknown(key));
  }
  checkCombinations(attrs);
  return warnings;
}

function checkBoolean(key: string, value: string): void {
  if (parseGoBoolean(value) !== undefined || (value === '' && flags.has(key))) return;
  throw invalidAttr(key, value, 'true or false');
}

function checkAnnotation(key: string): void {
  if (annotation.test(key)) return;
  throw invalidInput({
    input: 'outputs',
    value: key,
    problem: 'is not an annotation',
    expected:
      'annotation[-type][[platform]].key=value with type index, index-descriptor, manifest or manifest-descriptor',
  });
}

function checkText(key: string, value: string): void {
  if (key === 'compression' && !compressions.includes(value)) {
    throw invalidAttr(key, value, compressions.join(', '));
  }
  if (key === 'compression-level' && !/^[+-]?\d+$/.test(value)) {
    throw invalidAttr(key, value, 'a whole number');
  }
}

function invalidAttr(key: string, value: string, expected: string): InputError {
  const problem = 'has a value that BuildKit refuses';
  return invalidInput({ input: 'outputs', value: `${key}=${value}`, problem, expected });
}

/** Pairs that exclude each other. */
function checkCombinations(attrs: Attrs): void {
  const ociOff = parseGoBoolean(attrs['oci-mediatypes'] ?? '') === false;
  const compression = attrs.compression ?? '';
  const pairs: readonly (readonly [boolean, string, string])[] = [
    [
      ociOff && (compression === 'estargz' || compression === 'zstd'),
      `compression=${compression}`,
      'oci-mediatypes=false',
    ],
    [ociOff && isGoTrue(attrs['oci-artifact'] ?? ''), 'oci-artifact=true', 'oci-mediatypes=false'],
    [
      isGoTrue(attrs['rewrite-timestamp'] ?? '') && isTrueAttr(attrs.unpack),
      'rewrite-timestamp=true',
      'unpack=true',
    ],
  ];
  for (const [both, one, other] of pairs) {
    if (both) {
      throw new InputError(
        'INPUT_CONTRADICTION',
        `input \`outputs\`: \`${one}\` contradicts \`${other}\``,
        { hint: 'Remove one of the two.' },
      );
    }
  }
}

function describeUnknown(key: string): string {
  const nearest = nearestName(key, [...flags, ...booleans, ...texts]);
  const hint = nearest === undefined ? '' : ` Did you mean \`${nearest}\`?`;
  return `Input \`outputs\`: BuildKit may ignore the unknown attribute ${quote(key)}.${hint}`;
}
