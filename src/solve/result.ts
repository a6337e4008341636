import type { Exporter } from '../options/options.ts';
import { isGoTrue } from '../shared/go-boolean.ts';
import type { Range } from '../wire/gen/ops.ts';

/** A remark of the build, as `progress` collects them. */
export interface ResultWarning {
  readonly vertex: string;
  readonly level: number;
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
  readonly source:
    | {
        readonly filename: string;
        readonly language: string;
        readonly content: Buffer;
        readonly ranges: readonly Range[];
      }
    | undefined;
}

/** What a build is called outside of the daemon. */
export interface BuildReference {
  readonly builder: string;
  readonly node: string;
  readonly ref: string;
}

/** What a build that succeeded left behind. */
export interface BuildResult {
  /** Of the root object that was pushed or stored; undefined when nothing was exported. */
  readonly digest: string | undefined;
  /** Digest of the image config where there is one, else `digest`. */
  readonly imageId: string | undefined;
  /** JSON as buildx writes it into its metadata file. */
  readonly metadata: string;
  /** `name@digest` of each repository that was pushed to. */
  readonly images: readonly string[];
}

/** What the result is made of, beside the daemon's answer. */
export interface ResultOptions {
  readonly reference: BuildReference;
  readonly exporters: readonly Exporter[];
  /** Left out when empty, as buildx does. */
  readonly warnings?: readonly ResultWarning[];
}

const digestKey = 'containerimage.digest';
const configDigestKey = 'containerimage.config.digest';

/** Reads `SolveResponse.ExporterResponse` as buildx does. */
export function buildResult(
  exporterResponse: Readonly<Record<string, string>>,
  { reference, exporters, warnings = [] }: ResultOptions,
): BuildResult {
  const preferDigest = exporters.some(({ attrs }) => isTrue(attrs['prefer-image-digest']));
  const { builder, node, ref } = reference;
  const response: Readonly<Record<string, string>> = {
    ...Object.fromEntries(
      Object.entries(exporterResponse).filter(([key]) => !preferDigest || key !== configDigestKey),
    ),
    'buildx.build.ref': `${builder}/${node}/${ref}`,
  };
  const digest = response[digestKey];
  return {
    digest,
    imageId: response[configDigestKey] ?? digest,
    metadata: metadataJson(response, warnings),
    images: pushedImages(response, exporters),
  };
}

/**
 * Keys sorted, two-space indent; a value that is base64 of a JSON object, or of a list of them, is
 * put in as JSON. Follows buildx `commands/build.go`.
 */
function metadataJson(
  response: Readonly<Record<string, string>>,
  warnings: readonly ResultWarning[],
): string {
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(response).map(([key, value]) => [key, inlined(key, value)]),
  );
  if (warnings.length > 0) values['buildx.build.warnings'] = warnings.map(warningJson);
  const sorted = Object.entries(values).sort(([left], [right]) =>
    Buffer.compare(Buffer.from(left), Buffer.from(right)),
  );
  return JSON.stringify(Object.fromEntries(sorted), undefined, 2);
}

function inlined(key: string, value: string): unknown {
  const text = key === 'result.json' ? value : decodeBase64(value);
  if (text === undefined) return value;
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) return Object.keys(json).length > 0 ? json : value;
    return Array.isArray(json) && json.length > 0 && json.every(isObjectOrNull) ? json : value;
  } catch {
    return value;
  }
}

/** Strict, as in Go: what is no whole base64 is another kind of value. */
function decodeBase64(value: string): string | undefined {
  if (!/^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/.test(value) || value.includes('_')) {
    return undefined;
  }
  return Buffer.from(value, 'base64').toString('utf8');
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function isObjectOrNull(json: unknown): boolean {
  return json === null || isObject(json);
}

/** The shape of buildx's `rawjson` progress: bytes are base64, zero values are left out. */
function warningJson({ vertex, level, short, detail, url, source }: ResultWarning): unknown {
  const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
  return withoutZeros({
    vertex,
    level,
    short: base64(short),
    detail: detail.map(base64),
    url,
    sourceInfo:
      source &&
      withoutZeros({
        filename: source.filename,
        data: base64(source.content),
        language: source.language,
      }),
    range: source?.ranges.map(({ start, end }) => ({
      start: withoutZeros({ ...start }),
      end: withoutZeros({ ...end }),
    })),
  });
}

function withoutZeros(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) =>
        value !== undefined &&
        value !== '' &&
        value !== 0 &&
        !(Array.isArray(value) && value.length === 0),
    ),
  );
}

function pushedImages(
  response: Readonly<Record<string, string>>,
  exporters: readonly Exporter[],
): string[] {
  const digest = response[digestKey];
  const pushed = exporters.filter(({ attrs }) => isTrue(attrs.push));
  if (digest === undefined || pushed.length === 0) return [];
  const names = (response['image.name'] ?? '').split(',').filter((name) => name !== '');
  return [...new Set(names.map((name) => `${repositoryOf(name)}@${digest}`))];
}

/** A reference without tag and digest; the colon of a port comes before a slash. */
function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}

/** Exporter attributes that are there without a value are meant. */
function isTrue(value: string | undefined): boolean {
  return value !== undefined && (value === '' || isGoTrue(value));
}
