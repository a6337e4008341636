import { parseDocument, type Tags } from 'yaml';
import { invalidInput } from './errors.ts';

/** A map of a manifest, of any JSON values. */
export type JsonMap = Readonly<Record<string, unknown>>;

/**
 * Parses YAML with the types that kubectl gives its scalars, such as octal `0644` and `yes`.
 *
 * Throws an `InputError` that tells the line and none of the text, which may hold secrets.
 */
export function parseManifest(input: string, text: string): unknown {
  const document = parseDocument(text, {
    version: '1.1',
    customTags: withoutForeignTypes,
    uniqueKeys: true,
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line;
    const where = line === undefined ? '' : ` (line ${line})`;
    const reason = error.code === 'MULTIPLE_DOCS' ? 'has several documents' : 'is not valid YAML';
    throw invalidInput({ input, problem: `${reason}${where}`, expected: 'one YAML document' });
  }
  return asJson(input, () => document.toJS() as unknown);
}

/** Tells a map from any other JSON value. */
export function isJsonMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const foreign = new Set(
  ['binary', 'omap', 'pairs', 'set', 'timestamp'].map((name) => `tag:yaml.org,2002:${name}`),
);

/** Times, sexagesimal numbers and the like are no JSON, and texts to kubectl. */
function withoutForeignTypes(tags: Tags): Tags {
  return tags.filter(
    (tag) => typeof tag === 'string' || !(foreign.has(tag.tag) || tag.format === 'TIME'),
  );
}

/** Fails where aliases multiply without end or a map contains itself; breaks the sharing of the rest. */
function asJson(input: string, resolve: () => unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(resolve()));
  } catch {
    throw invalidInput({ input, problem: 'has aliases that cannot be resolved' });
  }
}
