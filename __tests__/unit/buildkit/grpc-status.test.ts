import { describe, expect, it } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import {
  headerValue,
  localEndOf,
  localStatus,
  metadataFromHeaders,
  responseProblem,
  statusFromHeaders,
} from '../../../src/buildkit/grpc-status.ts';

describe('statusFromHeaders', () => {
  it('is undefined without a status', () => {
    expect(
      statusFromHeaders([':status', '200', 'content-type', 'application/grpc']),
    ).toBeUndefined();
  });

  it('reads code, message and the other fields', () => {
    const status = statusFromHeaders([
      'grpc-status',
      '2',
      'grpc-message',
      'a%2Cb%20%F0%9F%90%B3 100% %zz',
      'x-other',
      'one',
      'x-other',
      'two, three',
    ]);
    expect(status?.code).toBe(2);
    expect(status?.details).toBe('a,b 🐳 100% %zz');
    expect(status?.metadata.get('x-other')).toEqual(['one', 'two, three']);
    expect(status?.metadata.get('grpc-status')).toEqual([]);
  });

  it.each(['17', '-1', '1.0', '', 'OK', '01', 'toString'])(
    'does not take %p for a code',
    (code) => {
      const status = statusFromHeaders(['grpc-status', code, 'grpc-message', 'because']);
      expect(status?.code).toBe(2);
      expect(status?.details).toContain('because');
    },
  );

  it('has something to say about any header block', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (rawHeaders) => {
        const status = statusFromHeaders(['grpc-status', '0', ...rawHeaders]);
        expect(status?.code).toBe(0);
        metadataFromHeaders(rawHeaders);
        responseProblem(rawHeaders);
      }),
    );
  });
});

describe('metadataFromHeaders', () => {
  it('splits binary values at commas and reads them with and without padding', () => {
    const metadata = metadataFromHeaders(['x-bin', 'AQI=,AQI', 'x-bin', 'AwQF']);
    expect(metadata.get('x-bin')).toEqual([
      Buffer.from([1, 2]),
      Buffer.from([1, 2]),
      Buffer.from([3, 4, 5]),
    ]);
  });

  it('leaves out pseudo headers and fields that gRPC does not allow', () => {
    const metadata = metadataFromHeaders([':status', '200', 'x y', 'v', 'good', 'v', 'odd', 'ü\n']);
    expect(metadata.getMap()).toEqual({ good: 'v' });
  });
});

describe('headerValue', () => {
  it('gives the first of several', () => {
    expect(headerValue(['a', '1', 'b', '2', 'b', '3'], 'b')).toBe('2');
    expect(headerValue(['a', 'b', 'b'], 'b')).toBeUndefined();
  });
});

describe('localStatus', () => {
  it('cannot be imitated by a header', () => {
    const lost = localStatus('lost', status.UNAVAILABLE, 'gone', new Error('why'));
    expect(localEndOf(lost.metadata)).toEqual({ kind: 'lost', cause: new Error('why') });
    const imitation = metadataFromHeaders(['buildkit-local-end', 'lost']);
    expect(localEndOf(imitation)).toBeUndefined();
  });
});

describe('responseProblem', () => {
  it.each(['application/grpc', 'application/grpc+proto', 'application/grpc;x=y'])(
    'accepts %s',
    (contentType) => {
      expect(responseProblem([':status', '200', 'content-type', contentType])).toBeUndefined();
    },
  );

  it.each([
    { status: '200', type: 'application/grpc-web', code: 2 },
    { status: '200', type: 'text/html', code: 2 },
    { status: '401', type: 'application/grpc', code: 16 },
    { status: '404', type: 'application/grpc', code: 12 },
    { status: '503', type: 'application/grpc', code: 14 },
    { status: '500', type: 'application/grpc', code: 2 },
  ])('finds fault with $status $type', ({ status, type, code }) => {
    expect(responseProblem([':status', status, 'content-type', type])?.code).toBe(code);
  });
});
