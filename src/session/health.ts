import { once } from 'node:events';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../wire/gen/health.ts';
import { rpcMethod } from '../wire/rpc.ts';
import type { Attachable } from './attachable.ts';
import { unaryMethod } from './unary.ts';

/**
 * Tells the daemon that we are alive: it asks each 5 s and drops the session after two answers
 * that fail or take more than 15 s.
 */
export function healthService(): Attachable {
  const { check, list, watch } = HealthDefinition.methods;
  const watchRpc = rpcMethod(HealthDefinition, watch);
  const serving = { status: HealthCheckResponse_ServingStatus.SERVING };
  return {
    methods: {
      ...unaryMethod(rpcMethod(HealthDefinition, check), () => Promise.resolve(serving)),
      ...unaryMethod(rpcMethod(HealthDefinition, list), () =>
        Promise.resolve({ statuses: { '': serving } }),
      ),
      [watchRpc.path]: async (call) => {
        await call.send(watchRpc.responseSerialize(serving));
        // The state never changes, so there is nothing more to say until the daemon goes.
        if (!call.signal.aborted) await once(call.signal, 'abort');
      },
    },
  };
}
