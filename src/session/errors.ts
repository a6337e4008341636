import { CodedError, type ErrorDetails } from '../shared/errors.ts';

export type SessionErrorCode =
  /** The daemon, or the end of the session, made a call pointless. */
  | 'SESSION_CALL_CANCELLED'
  /** An answer that the protocol foresees, such as "not offered": no failure of the build. */
  | 'SESSION_CALL_REFUSED'
  | 'SESSION_CONTEXT_UNREADABLE'
  | 'SESSION_PATTERN_INVALID'
  | 'SESSION_PROTOCOL'
  | 'SESSION_TUNNEL_LOST'
  | 'REGISTRY_TOKEN_FAILED';

/** Status codes of gRPC that session services answer with. */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus];

/** A line of a file on this machine. */
export interface FileLine {
  readonly path: string;
  /** From 1. */
  readonly line: number;
}

/** A failure on our side of the session; `status` is what the daemon is told. */
export class SessionError extends CodedError<SessionErrorCode> {
  override readonly name = 'SessionError';
  readonly status: GrpcStatus;
  /** What has to be corrected, as far as it is known. */
  readonly place: FileLine | undefined;

  constructor(
    code: SessionErrorCode,
    message: string,
    details: ErrorDetails & { readonly status?: GrpcStatus; readonly place?: FileLine } = {},
  ) {
    super(code, message, details);
    this.status = details.status ?? grpcStatus.unknown;
    this.place = details.place;
  }
}
