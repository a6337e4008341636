import { describe, expect, it } from '@jest/globals';
import type { BuildkitErrorDetails, ErrorSource } from '../../../src/buildkit/error-details.ts';
import { buildFailure, hintFor, plainMessage } from '../../../src/solve/failure.ts';

const place = (filename: string, line: number): ErrorSource => ({
  filename,
  data: Buffer.from('FROM a\nRUN b\nRUN c'),
  language: 'Dockerfile',
  ranges: [{ start: { line, character: 0 }, end: { line, character: 0 } }],
});
const details = (...sources: ErrorSource[]): BuildkitErrorDetails => ({
  vertexDigest: 'sha256:1',
  sources,
});

describe('buildFailure', () => {
  it('takes its place from the first source that has one, and shows each excerpt once', () => {
    const failure = buildFailure(
      'boom',
      details(place('nowhere', 9), place('Dockerfile', 2), place('Dockerfile', 2), place('b', 3)),
    );
    expect(failure.location).toEqual({ filename: 'Dockerfile', startLine: 2, endLine: 2 });
    expect(failure.vertexDigest).toBe('sha256:1');
    expect(failure.excerpt?.match(/^\w+:\d+$/gm)).toEqual(['Dockerfile:2', 'b:3']);
  });

  it('is only a message when nothing is attached', () => {
    expect(buildFailure('boom', undefined)).toEqual({
      message: 'boom',
      vertexDigest: undefined,
      location: undefined,
      excerpt: undefined,
    });
  });
});

describe('plainMessage', () => {
  it.each([
    {
      raw: 'failed to solve: failed to solve with frontend dockerfile.v0: dockerfile parse error on line 2: unknown instruction: RUNN',
      plain: 'dockerfile parse error on line 2: unknown instruction: RUNN',
    },
    {
      raw: 'failed to compute cache key: failed to calculate checksum of ref b1::c2: "/missing": not found',
      plain: '"/missing": not found',
    },
    {
      raw: 'failed to push r/a: rpc error: code = Unknown desc = helper failed',
      plain: 'failed to push r/a: helper failed',
    },
    {
      raw: 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3',
      plain: 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3',
    },
  ])('says $plain', ({ raw, plain }) => {
    expect(plainMessage(raw)).toBe(plain);
  });
});

describe('hintFor', () => {
  it.each([
    {
      message: 'granting entitlement network.host is not allowed by build daemon',
      hint: 'BuildKit config',
    },
    { message: 'failed to load LLB: network.host is not allowed', hint: '`network: host`' },
    { message: 'failed to load LLB: security.insecure is not allowed', hint: 'remove it' },
    { message: 'http: server gave HTTP response to HTTPS client', hint: 'http: true' },
    { message: 'tls: failed to verify certificate: x509: unknown authority', hint: '`ca`' },
    {
      message: 'unexpected status from HEAD request to http://r: 403 Forbidden',
      hint: 'registry-auth',
    },
    {
      message: 'unexpected status from HEAD request to http://r: 429 Too Many Requests',
      hint: 'limits how often',
    },
    {
      message: 'unexpected status from HEAD request to http://r: 503 Service Unavailable',
      hint: 'itself fails',
    },
    { message: 'write /a: no space left on device', hint: 'ephemeral-storage' },
    { message: 'exec /bin/sh: exec format error', hint: 'platforms' },
    {
      message: 'process "/bin/sh -c make" did not complete successfully: exit code: 137',
      hint: 'limits.memory',
    },
    {
      message: plainMessage(
        'failed to compute cache key: failed to calculate checksum of ref a::b: "/x": not found',
      ),
      hint: '.dockerignore',
    },
  ])('helps with $message', ({ message, hint }) => {
    expect(hintFor(message)).toContain(hint);
  });

  it('has nothing to add to a step that failed', () => {
    expect(hintFor('process "/bin/sh -c false" did not complete: exit code: 1')).toBeUndefined();
  });
});
