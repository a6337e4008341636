import { describe, expect, it } from '@jest/globals';
import {
  ControlDefinition,
  SolveRequest,
  type SolveResponse,
} from '../../../src/wire/gen/control.ts';
import { FileSyncDefinition } from '../../../src/wire/gen/filesync.ts';
import { type RpcMethod, encodeMessage, rpcMethod } from '../../../src/wire/rpc.ts';

describe('rpcMethod', () => {
  const solve: RpcMethod<SolveRequest, SolveResponse> = rpcMethod(
    ControlDefinition,
    ControlDefinition.methods.solve,
  );

  it('knows path and shape', () => {
    expect(solve.path).toBe('/moby.buildkit.v1.Control/Solve');
    expect([solve.requestStream, solve.responseStream]).toEqual([false, false]);
    const status = rpcMethod(ControlDefinition, ControlDefinition.methods.status);
    expect([status.requestStream, status.responseStream]).toEqual([false, true]);
    const diffCopy = rpcMethod(FileSyncDefinition, FileSyncDefinition.methods.diffCopy);
    expect(diffCopy.path).toBe('/moby.filesync.v1.FileSync/DiffCopy');
    expect([diffCopy.requestStream, diffCopy.responseStream]).toEqual([true, true]);
  });

  it('serializes a request into the bytes of the protobuf encoding', () => {
    const request = SolveRequest.fromPartial({ Ref: 'r', FrontendAttrs: { target: 'app' } });
    const ref = '0a0172';
    const target = '0a06746172676574';
    const app = '1203617070';
    expect(solve.requestSerialize(request).toString('hex')).toBe(`${ref}3a0d${target}${app}`);
  });

  it('reads a response and skips fields of a newer daemon', () => {
    const bytes = Buffer.from('0a060a016b120176' + 'fa0f03787878', 'hex');
    expect(solve.responseDeserialize(bytes)).toEqual({ ExporterResponse: { k: 'v' } });
  });

  it('throws on bytes that are no message', () => {
    expect(() => solve.responseDeserialize(Buffer.from('0aff', 'hex'))).toThrow();
  });
});

describe('encodeMessage', () => {
  it('gives exactly the message, also for an empty one', () => {
    expect(encodeMessage(SolveRequest, SolveRequest.fromPartial({}))).toHaveLength(0);
  });
});
