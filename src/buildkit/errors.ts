import type { ServiceError } from '@grpc/grpc-js';

import { CodedError, messageOf, type ErrorDetails } from '../shared/errors.ts';
import { decodeErrorDetails, type BuildkitErrorDetails } from './error-details.ts';
import { localEndOf, type LocalEnd } from './grpc-status.ts';
import { Metadata, Status as grpcStatus } from './grpc-stubs.ts';

export type BuildkitErrorCode =
  | 'BUILDKIT_CALL_FAILED'
  | 'BUILDKIT_CALL_RESET'
  | 'BUILDKIT_CANCELED'
  | 'BUILDKIT_LOST'
  | 'BUILDKIT_PROTOCOL'
  | 'BUILDKIT_TIMEOUT'
  | 'BUILDKIT_UNAVAILABLE';

/** A failure of the daemon or of the connection to it. */
export class BuildkitError extends CodedError<BuildkitErrorCode> {
  override readonly name = 'BuildkitError';
  /** Of the daemon's own answer, or the nearest there is when it gave none. */
  readonly grpcCode: number | undefined;
  /** What the daemon attached to its answer. */
  readonly details: BuildkitErrorDetails | undefined;

  constructor(
    code: BuildkitErrorCode,
    message: string,
    details: ErrorDetails & {
      readonly grpcCode?: number;
      readonly details?: BuildkitErrorDetails | undefined;
    } = {},
  ) {
    super(code, message, details);
    this.grpcCode = details.grpcCode;
    this.details = details.details;
  }
}

/** What is known about the call that failed. */
export interface CallFacts {
  /** Name of the RPC, such as `Solve`. */
  readonly rpc: string;
  /** The signal that could cancel it. */
  readonly signal?: AbortSignal | undefined;
}

/** Turns whatever a client stub failed with into a `BuildkitError`. */
export function fromCallError(error: unknown, call: CallFacts): BuildkitError {
  if (error instanceof BuildkitError) return error;
  if (call.signal?.aborted === true) return canceledError(call);
  if (!isServiceError(error)) return protocolError(call.rpc, messageOf(error), error);
  const end = localEndOf(error.metadata);
  return end === undefined ? fromVerdict(error) : fromLocalEnd(error, call, end);
}

/** The connection ended while `rpc` was under way. */
export function lostError(rpc: string, reason: string, cause: unknown): BuildkitError {
  return new BuildkitError(
    'BUILDKIT_LOST',
    `connection to BuildKit was lost during ${rpc}: ${reason}`,
    {
      grpcCode: grpcStatus.UNAVAILABLE,
      hint: 'Look at the pod: it may have been evicted, run out of memory or been deleted.',
      cause,
    },
  );
}

/** The caller gave up. */
export function canceledError({ rpc, signal }: CallFacts): BuildkitError {
  return new BuildkitError('BUILDKIT_CANCELED', `BuildKit call ${rpc} was canceled`, {
    grpcCode: grpcStatus.CANCELLED,
    cause: signal?.reason,
  });
}

/** The daemon, or something in its place, sent what is no answer to `rpc`. */
export function protocolError(rpc: string, reason: string, cause?: unknown): BuildkitError {
  return new BuildkitError(
    'BUILDKIT_PROTOCOL',
    `BuildKit's answer to ${rpc} cannot be read: ${reason}`,
    { hint: 'See whether the image of the builder is BuildKit v0.13 or newer.', cause },
  );
}

function fromLocalEnd(error: ServiceError, call: CallFacts, end: LocalEnd): BuildkitError {
  const grpcCode = error.code;
  switch (end.kind) {
    case 'lost':
      return lostError(call.rpc, error.details, end.cause);
    case 'reset':
      return new BuildkitError(
        'BUILDKIT_CALL_RESET',
        `BuildKit broke off the call ${call.rpc} without saying why: ${error.details}`,
        { grpcCode, cause: end.cause },
      );
    case 'protocol':
      return protocolError(call.rpc, error.details);
    case 'deadline':
      return new BuildkitError('BUILDKIT_TIMEOUT', `BuildKit did not answer ${call.rpc} in time`, {
        grpcCode,
      });
    case 'canceled':
      return canceledError(call);
  }
}

/** A status that the daemon sent. */
function fromVerdict(error: ServiceError): BuildkitError {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return new BuildkitError('BUILDKIT_CALL_FAILED', error.details, {
    grpcCode: error.code,
    details: bytes === undefined ? undefined : decodeErrorDetails(Buffer.from(bytes)),
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'metadata' in error && error.metadata instanceof Metadata;
}
