import { Status } from '../wire/gen/rpc-status.ts';

/** Lines and columns of a source file, both counted from 1; columns may be missing (0). */
export interface SourceRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/** Where in a build definition an error came from. */
export interface ErrorSource {
  /** As the frontend knows it, such as `Dockerfile`. */
  readonly filename: string;
  /** The whole file. */
  readonly data: Buffer;
  readonly language: string;
  readonly ranges: readonly SourceRange[];
}

/** What BuildKit attaches to a failed call beside code and message. */
export interface BuildkitErrorDetails {
  /** The step that failed. */
  readonly vertexDigest: string | undefined;
  /** In the order they came, which is the order in which buildctl prints them. */
  readonly sources: readonly ErrorSource[];
}

const typePrefix = 'github.com/moby/buildkit/';

/**
 * Decodes the `grpc-status-details-bin` trailer; undefined when its bytes are no status at all.
 *
 * The records are JSON inside `Any`, with type names of containerd's `typeurl`; stacks, and what
 * cannot be read, are left out. Follows BuildKit `util/grpcerrors/grpcerrors.go`.
 */
export function decodeErrorDetails(bytes: Uint8Array): BuildkitErrorDetails | undefined {
  let status: Status;
  try {
    status = Status.decode(bytes);
  } catch {
    return undefined;
  }
  const sources: ErrorSource[] = [];
  let vertexDigest: string | undefined;
  for (const { type_url: typeUrl, value } of status.details) {
    const record = typeUrl.startsWith(typePrefix) ? parseRecord(value) : undefined;
    const type = record === undefined ? '' : typeUrl.slice(typePrefix.length);
    if (type === 'errdefs.Vertex+json') vertexDigest ??= text(record?.digest);
    else if (type === 'errdefs.Source+json') sources.push(toSource(record));
  }
  return { vertexDigest: vertexDigest === '' ? undefined : vertexDigest, sources };
}

type Json = Readonly<Record<string, unknown>> | undefined;

function parseRecord(value: Buffer): Json {
  try {
    return record(JSON.parse(value.toString('utf8')));
  } catch {
    return undefined;
  }
}

function toSource(json: Json): ErrorSource {
  const info = record(json?.info);
  return {
    filename: text(info?.filename),
    data: Buffer.from(text(info?.data), 'base64'),
    language: text(info?.language),
    ranges: list(json?.ranges).map((range) => ({
      start: toPosition(record(range)?.start),
      end: toPosition(record(range)?.end),
    })),
  };
}

function toPosition(json: unknown): SourceRange['start'] {
  const position = record(json);
  return { line: integer(position?.line), character: integer(position?.character) };
}

/* Go leaves out zero values, so whatever is missing or of another type reads as zero. */

function record(json: unknown): Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
    ? (json as Json)
    : undefined;
}

function list(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : [];
}

function text(json: unknown): string {
  return typeof json === 'string' ? json : '';
}

function integer(json: unknown): number {
  return typeof json === 'number' && Number.isSafeInteger(json) ? json : 0;
}
