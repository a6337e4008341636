import { constants } from 'node:http2';

import type { StatusObject } from '@grpc/grpc-js';

import { decodeGrpcMessage } from '../shared/grpc-message.ts';
import { Metadata, Status as grpcStatus } from './grpc-stubs.ts';

/**
 * How a call ended without a verdict of the daemon.
 *
 * `lost`: the connection is gone; `reset`: it stands, only this call was broken off; `protocol`:
 * what came is no gRPC; `deadline` and `canceled`: we gave up.
 */
export type EndKind = 'lost' | 'reset' | 'protocol' | 'deadline' | 'canceled';

/** The end of a call as our side made or saw it. */
export interface LocalEnd {
  readonly kind: EndKind;
  /** What the transport said, if anything. */
  readonly cause: unknown;
}

const localEndKey = 'buildkit-local-end';

/** A status of our own making, which no header sent by a peer can imitate. */
export function localStatus(
  kind: EndKind,
  code: grpcStatus,
  details: string,
  cause?: unknown,
): StatusObject {
  const metadata = new Metadata();
  metadata.setOpaque(localEndKey, { kind, cause } satisfies LocalEnd);
  return { code, details, metadata };
}

/** How our side ended a call; undefined for a verdict of the daemon. */
export function localEndOf(metadata: Metadata): LocalEnd | undefined {
  return metadata.getOpaque(localEndKey) as LocalEnd | undefined;
}

/**
 * Response headers or trailers as metadata.
 *
 * Takes the flat name-value list of `node:http2`, because its object joins repeated fields. Fields
 * that gRPC does not allow are left out: a peer's odd header must not end a build.
 */
export function metadataFromHeaders(rawHeaders: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headerPairs(rawHeaders)) {
    if (name.startsWith(':')) continue;
    try {
      for (const item of name.endsWith('-bin') ? binaryValues(value) : [value]) {
        metadata.add(name, item);
      }
    } catch {
      continue;
    }
  }
  return metadata;
}

/** The value of a header, the first if it is repeated. */
export function headerValue(rawHeaders: readonly string[], wanted: string): string | undefined {
  for (const [name, value] of headerPairs(rawHeaders)) if (name === wanted) return value;
  return undefined;
}

/** The verdict in a header block; undefined when it has no `grpc-status`. */
export function statusFromHeaders(rawHeaders: readonly string[]): StatusObject | undefined {
  const text = headerValue(rawHeaders, 'grpc-status');
  if (text === undefined) return undefined;
  const metadata = metadataFromHeaders(rawHeaders);
  const message = decodeGrpcMessage(headerValue(rawHeaders, 'grpc-message') ?? '');
  metadata.remove('grpc-status');
  metadata.remove('grpc-message');
  const code = Object.values(grpcStatus).find((known) => String(known) === text);
  if (typeof code !== 'number') {
    const details = `daemon sent the unknown gRPC status ${JSON.stringify(text)}: ${message}`;
    return { code: grpcStatus.UNKNOWN, details, metadata };
  }
  return { code, details: message, metadata };
}

const codeByHttpStatus: Readonly<Record<number, grpcStatus>> = {
  400: grpcStatus.INTERNAL,
  401: grpcStatus.UNAUTHENTICATED,
  403: grpcStatus.PERMISSION_DENIED,
  404: grpcStatus.UNIMPLEMENTED,
  429: grpcStatus.UNAVAILABLE,
  502: grpcStatus.UNAVAILABLE,
  503: grpcStatus.UNAVAILABLE,
  504: grpcStatus.UNAVAILABLE,
};

/**
 * What is wrong with response headers that carry no verdict; undefined when messages may follow.
 *
 * Codes follow gRPC's `doc/http-grpc-status-mapping.md`.
 */
export function responseProblem(rawHeaders: readonly string[]): StatusObject | undefined {
  const httpStatus = Number(headerValue(rawHeaders, ':status'));
  if (httpStatus !== 200) {
    const code = codeByHttpStatus[httpStatus] ?? grpcStatus.UNKNOWN;
    return localStatus(
      'protocol',
      code,
      `daemon answered with HTTP status ${httpStatus}, expected 200`,
    );
  }
  const contentType = headerValue(rawHeaders, 'content-type') ?? '';
  if (!/^application\/grpc(?:$|[+;])/i.test(contentType)) {
    return localStatus(
      'protocol',
      grpcStatus.UNKNOWN,
      `daemon answered with content type "${contentType}", expected "application/grpc"`,
    );
  }
  return undefined;
}

/** What an RST_STREAM code says; follows gRPC's `doc/PROTOCOL-HTTP2.md`, section Errors. */
export function resetMeaning(resetCode: number): {
  readonly name: string;
  readonly code: grpcStatus;
} {
  switch (resetCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return { name: 'REFUSED_STREAM', code: grpcStatus.UNAVAILABLE };
    case constants.NGHTTP2_CANCEL:
      return { name: 'CANCEL', code: grpcStatus.CANCELLED };
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { name: 'ENHANCE_YOUR_CALM', code: grpcStatus.RESOURCE_EXHAUSTED };
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return { name: 'INADEQUATE_SECURITY', code: grpcStatus.PERMISSION_DENIED };
    case constants.NGHTTP2_INTERNAL_ERROR:
      return { name: 'INTERNAL_ERROR', code: grpcStatus.INTERNAL };
    default:
      return { name: `HTTP/2 error code ${resetCode}`, code: grpcStatus.INTERNAL };
  }
}

function* headerPairs(rawHeaders: readonly string[]): Generator<readonly [string, string]> {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    yield [rawHeaders[index] ?? '', rawHeaders[index + 1] ?? ''];
  }
}

/** A `-bin` field may hold several base64 values, padded or not, joined with commas. */
function binaryValues(value: string): Buffer[] {
  return value.split(',').map((item) => Buffer.from(item, 'base64'));
}
