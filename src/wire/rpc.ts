/** Encoder and decoder of one message type; every generated message is one. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

/** A method as the generated `…Definition` objects describe it. */
interface DescribedMethod<Request, Response> {
  readonly name: string;
  readonly requestType: MessageCodec<Request>;
  readonly requestStream: boolean;
  readonly responseType: MessageCodec<Response>;
  readonly responseStream: boolean;
}

/** What is needed to call or serve a method; has the shape of grpc-js's `MethodDefinition`. */
export interface RpcMethod<Request, Response> {
  /** Such as `/moby.buildkit.v1.Control/Solve`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (message: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/**
 * Makes a method of a generated service callable:
 * `rpcMethod(ControlDefinition, ControlDefinition.methods.solve)`.
 *
 * Deserializing throws when the bytes are not the message.
 */
export function rpcMethod<Request, Response>(
  service: { readonly fullName: string },
  method: DescribedMethod<Request, Response>,
): RpcMethod<Request, Response> {
  return {
    path: `/${service.fullName}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: (message) => encodeMessage(method.requestType, message),
    requestDeserialize: (bytes) => method.requestType.decode(bytes),
    responseSerialize: (message) => encodeMessage(method.responseType, message),
    responseDeserialize: (bytes) => method.responseType.decode(bytes),
  };
}

/** Encodes a message without copying the writer's result. */
export function encodeMessage<T>(codec: MessageCodec<T>, message: T): Buffer {
  const bytes = codec.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
