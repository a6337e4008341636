import { describe, expect, it } from '@jest/globals';
import { BuildkitError } from '../../src/buildkit/errors.ts';
import { isInfrastructure, looksLikeLoss, unreachablePod } from '../../src/infrastructure.ts';
import { KubernetesError } from '../../src/kubernetes/errors.ts';
import { BuilderLost } from '../../src/kubernetes/loss.ts';
import { CodedError } from '../../src/shared/errors.ts';
import { SolveError } from '../../src/solve/errors.ts';

const failed = (message: string): SolveError => new SolveError('SOLVE_FAILED', message);

describe('isInfrastructure', () => {
  it.each([
    // Pushes.
    'failed to push ghcr.io/acme/app:1: unexpected status from PUT request to https://ghcr.io/v2/acme/app/blobs/upload/9f?digest=sha256%3Aaf: 503 Service Unavailable',
    'failed to push r.example/acme/app:1: failed to copy: unexpected status from POST request to https://r.example:5000/v2/acme/app/blobs/uploads/: 500 Internal Server Error',
    'unexpected status: 502 Bad Gateway',
    'failed to push r.example/acme/app: unexpected status from HEAD request to https://r.example/v2/acme/app/blobs/sha256:1: 429 Too Many Requests',
    'failed to push cr.example/a: failed to copy: failed to do request: Put "https://cr.example/v2/blobhere": write tcp 172.17.0.2:48736->109.107.38.167:443: write: connection reset by peer',
    'failed to copy: failed to do request: Put "https://ghcr.io/v2/a/blobs/upload/c3": write tcp 172.17.0.2:54206->140.82.114.33:443: write: broken pipe',
    'failed to push ghcr.io/a/b:latest: failed to copy: io: read/write on closed pipe',
    // Pulls.
    'docker.io/library/docker:20.10: failed to resolve source metadata for docker.io/library/docker:20.10: pulling from host registry-1.docker.io failed with status code [manifests 20.10]: 429 Too Many Requests',
    'alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: unexpected status from HEAD request to https://registry-1.docker.io/v2/library/alpine/manifests/3: 504 Gateway Timeout',
    'failed to copy: httpReadSeeker: failed open: unexpected status code https://r.example/v2/a/blobs/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.',
    'alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.docker.io/token?scope=x: 503 Service Unavailable',
    'alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to do request: Head "https://registry-1.docker.io/v2/library/alpine/manifests/3": net/http: TLS handshake timeout',
    'failed to copy: read tcp 172.17.0.2:47038->173.194.214.128:443: read: connection reset by peer',
    'alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to do request: Head "https://r.example/v2/": dial tcp 10.0.0.1:443: i/o timeout',
  ])('is a registry in trouble: %s', (message) => {
    expect(isInfrastructure(failed(message))).toBe(true);
  });

  it.each([
    // Steps, whatever they run or print.
    'process "/bin/sh -c curl -f https://x.example || echo unexpected status: 503 Service Unavailable" did not complete successfully: exit code: 22',
    'process "/bin/sh -c make" did not complete successfully: exit code: 2',
    'process "/bin/sh -c make" did not complete successfully: cannot allocate memory',
    // Dockerfiles and contexts.
    'dockerfile parse error on line 2: unknown instruction: RUNN',
    'target stage "nowhere" could not be found',
    '"/missing": not found',
    // Missing images and rights.
    'docker.io/library/no-such: failed to resolve source metadata for docker.io/library/no-such: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    'failed to push ghcr.io/acme/app:1: denied: permission_denied: write_package',
    'failed to push r.example/acme/app:1: unexpected status from POST request to https://r.example:5000/v2/503/app/blobs/uploads/: 403 Forbidden',
    'failed to push r.example/a: failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://r.example/token: 401 Unauthorized',
    'r.example/a:429: failed to resolve source metadata for r.example/a:429: r.example/a:429: not found',
    // Names and certificates that are wrong now and later.
    'failed to push r.invalid/a: failed to do request: Head "https://r.invalid/v2/": dial tcp: lookup r.invalid on 10.96.0.10:53: no such host',
    'failed to push r.example/a: failed to do request: Head "https://r.example/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'failed to push r.example/a: failed to do request: Head "https://r.example/v2/": http: server gave HTTP response to HTTPS client',
    'granting entitlement network.host is not allowed by build daemon configuration',
    'context canceled',
  ])('is not: %s', (message) => {
    expect(isInfrastructure(failed(message))).toBe(false);
  });

  it('is a lost pod and a lost stream, but not a builder whose time was up', () => {
    expect(isInfrastructure(new BuilderLost('drained', 'x'))).toBe(true);
    expect(isInfrastructure(new BuilderLost('out-of-memory', 'x'))).toBe(false);
    expect(isInfrastructure(new BuilderLost('expired', 'x'))).toBe(false);
    expect(isInfrastructure(new BuildkitError('BUILDKIT_LOST', 'x'))).toBe(true);
    expect(isInfrastructure(new KubernetesError('EXEC_CLOSED', 'x'))).toBe(true);
    expect(isInfrastructure(new CodedError('SESSION_TUNNEL_LOST', 'x'))).toBe(true);
  });

  it.each([
    new SolveError('SOLVE_CANCELED', 'unexpected status: 503 Service Unavailable'),
    new SolveError('SOLVE_TIMEOUT', 'x'),
    new KubernetesError('KUBE_FORBIDDEN', 'x'),
    new KubernetesError('BUILDER_TIMEOUT', 'x'),
    new BuildkitError('BUILDKIT_CALL_FAILED', 'x'),
    new CodedError('REGISTRY_TOKEN_FAILED', 'x'),
    new Error('ECONNRESET'),
    'EOF',
  ])('is none of ours to repeat: %s', (failure) => {
    expect(isInfrastructure(failure)).toBe(false);
  });
});

describe('looksLikeLoss', () => {
  const answer = (grpcCode: number): BuildkitError =>
    new BuildkitError('BUILDKIT_CALL_FAILED', 'x', { grpcCode });

  it.each([
    ['a connection that went', new BuildkitError('BUILDKIT_LOST', 'x'), true],
    ['a stream that was closed', new KubernetesError('EXEC_CLOSED', 'x'), true],
    [
      'a daemon that cancels by itself',
      new SolveError('SOLVE_FAILED', 'context canceled', { cause: answer(1) }),
      true,
    ],
    ['a daemon that stops', answer(14), true],
    [
      'a step that failed',
      new SolveError('SOLVE_FAILED', 'exit code: 1', { cause: answer(2) }),
      false,
    ],
    ['a call that failed', answer(5), false],
    ['a time-out of ours', new SolveError('SOLVE_TIMEOUT', 'x'), false],
    ['a refusal', new KubernetesError('KUBE_FORBIDDEN', 'x'), false],
  ])('%s', (_, failure, looks) => {
    expect(looksLikeLoss(failure)).toBe(looks);
  });
});

describe('unreachablePod', () => {
  it('is that of a lost node, and no other', () => {
    expect(unreachablePod(new BuilderLost('node-lost', 'x', { podUid: 'u1' }))).toBe('u1');
    expect(unreachablePod(new BuilderLost('connection', 'x', { podUid: 'u1' }))).toBeUndefined();
    expect(unreachablePod(failed('x'))).toBeUndefined();
  });
});
