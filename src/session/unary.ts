import type { RpcMethod } from '../wire/rpc.ts';
import type { SessionCall, SessionMethod } from './attachable.ts';
import { grpcStatus, SessionError } from './errors.ts';

/** Serves a method that has one request and one answer; `answer` works as a `SessionMethod` does. */
export function unaryMethod<Request, Response>(
  rpc: RpcMethod<Request, Response>,
  answer: (request: Request, call: SessionCall) => Promise<Response>,
): Record<string, SessionMethod> {
  return {
    [rpc.path]: async (call) => {
      const request = await onlyMessage(call);
      const response = await answer(rpc.requestDeserialize(request), call);
      await call.send(rpc.responseSerialize(response));
    },
  };
}

async function onlyMessage(call: SessionCall): Promise<Buffer> {
  for await (const message of call.messages()) return message;
  throw new SessionError(
    'SESSION_PROTOCOL',
    `the BuildKit daemon called ${call.method} without a request`,
    {
      status: grpcStatus.invalidArgument,
    },
  );
}
