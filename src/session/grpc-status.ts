import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { GrpcFramingError } from '../shared/grpc-framing.ts';
import { decodeGrpcMessage, encodeGrpcMessage } from '../shared/grpc-message.ts';
import { grpcStatus, SessionError, type GrpcStatus } from './errors.ts';

/** Longer messages could fill what the daemon, and whoever hears of it, has room for in a header. */
const maxMessageBytes = 4096;

/** What the daemon is told of a message: whole characters of the first 4 KiB. */
export function sentMessage(message: string): string {
  const bytes = Buffer.from(message);
  let end = Math.min(bytes.length, maxMessageBytes);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The trailers that end a call; a long message is cut as `sentMessage` does. */
export function statusTrailers(status: GrpcStatus, message: string): OutgoingHttpHeaders {
  return message === ''
    ? { 'grpc-status': String(status) }
    : { 'grpc-status': String(status), 'grpc-message': encodeGrpcMessage(sentMessage(message)) };
}

/** The status that a failure of ours has on the wire; what is no error of ours is UNKNOWN. */
export function statusOf(thrown: unknown): GrpcStatus {
  if (thrown instanceof SessionError) return thrown.status;
  if (thrown instanceof GrpcFramingError) {
    return thrown.code === 'GRPC_MESSAGE_TOO_LARGE'
      ? grpcStatus.resourceExhausted
      : grpcStatus.internal;
  }
  return grpcStatus.unknown;
}

/** Status and message in the trailers of a call that the far side ended. */
export function readStatus(trailers: IncomingHttpHeaders): { code: number; message: string } {
  return {
    code: Number(trailers['grpc-status'] ?? grpcStatus.unknown),
    message: decodeGrpcMessage(String(trailers['grpc-message'] ?? '')),
  };
}
