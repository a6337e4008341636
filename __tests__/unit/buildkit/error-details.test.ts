import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeErrorDetails } from '../../../src/buildkit/error-details.ts';
import { encode, statusDetails } from '../../fakes/fake-buildkitd.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('decodeErrorDetails', () => {
  it('reads vertex and sources in the order they came', () => {
    const details = decodeErrorDetails(
      statusDetails(2, 'm', [
        [
          'stack.Stack+json',
          {
            frames: [{ Name: 'f', File: 'a.go', Line: 3 }],
            cmdline: ['buildkitd'],
            version: 'v1',
            revision: 'abc',
            pid: 1,
          },
        ],
        ['errdefs.Source+json', { info: { filename: 'first' } }],
        ['errdefs.Vertex+json', { digest: 'sha256:1' }],
        ['errdefs.Vertex+json', { digest: 'sha256:2' }],
        [
          'errdefs.Source+json',
          {
            info: {
              filename: 'Dockerfile',
              data: base64('FROM x\n'),
              language: 'Dockerfile',
              definition: { def: ['YQ=='] },
            },
            ranges: [{ start: { line: 1, character: 2 }, end: { line: 3 } }],
          },
        ],
      ]),
    );
    expect(details).toEqual({
      vertexDigest: 'sha256:1',
      sources: [
        { filename: 'first', data: Buffer.alloc(0), language: '', ranges: [] },
        {
          filename: 'Dockerfile',
          data: Buffer.from('FROM x\n'),
          language: 'Dockerfile',
          ranges: [{ start: { line: 1, character: 2 }, end: { line: 3, character: 0 } }],
        },
      ],
    });
  });

  it('leaves out what it does not read', () => {
    const bytes = encode('google.rpc.Status', {
      code: 2,
      details: [
        { type_url: 'github.com/moby/buildkit/errdefs.Vertex+json', value: Buffer.from('{"dig') },
        { type_url: 'type.googleapis.com/google.rpc.Help', value: Buffer.from([0xff, 0]) },
        { type_url: 'github.com/moby/buildkit/errdefs.Source+json', value: Buffer.from('[]') },
      ],
    });
    const details = decodeErrorDetails(bytes);
    expect(details?.vertexDigest).toBeUndefined();
    expect(details?.sources).toEqual([]);
  });

  it('reads fields of the wrong type as missing', () => {
    const details = decodeErrorDetails(
      statusDetails(2, '', [
        ['errdefs.Vertex+json', { digest: 7 }],
        [
          'errdefs.Source+json',
          { info: 'x', ranges: [null, { start: [] }, { end: { line: 1.5 } }] },
        ],
      ]),
    );
    expect(details?.vertexDigest).toBeUndefined();
    const nowhere = { line: 0, character: 0 };
    expect(details?.sources[0]?.ranges).toEqual([
      { start: nowhere, end: nowhere },
      { start: nowhere, end: nowhere },
      { start: nowhere, end: nowhere },
    ]);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeErrorDetails(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('survives any JSON in any record', () => {
    const types = ['errdefs.Vertex+json', 'errdefs.Source+json', 'stack.Stack+json', 'x'];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.jsonValue(), (type, json) => {
        expect(decodeErrorDetails(statusDetails(2, '', [[type, json]]))).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });

  it('is undefined for bytes that are cut off', () => {
    const whole = statusDetails(2, 'message', [['errdefs.Vertex+json', { digest: 'sha256:1' }]]);
    expect(decodeErrorDetails(whole.subarray(0, -1))).toBeUndefined();
  });
});
