/**
 * The value of the header `grpc-message`: printable ASCII as it is, and the UTF-8 bytes of all else
 * percent-encoded, as gRPC over HTTP/2 has it.
 */
export function encodeGrpcMessage(message: string): string {
  return message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    Array.from(Buffer.from(part), (byte) => `%${hexDigits(byte)}`).join(''),
  );
}

/**
 * Undoes `encodeGrpcMessage`.
 *
 * Never throws: what is no valid escape stays as it is, bytes that are no UTF-8 become U+FFFD.
 */
export function decodeGrpcMessage(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  return encoded.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

function hexDigits(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
