/** Which failures lie in the cluster, the network or a registry, and so may pass by themselves. */
import { BuildkitError } from './buildkit/errors.ts';
import { KubernetesError } from './kubernetes/errors.ts';
import { BuilderLost, type LossKind } from './kubernetes/loss.ts';
import { CodedError } from './shared/errors.ts';
import { SolveError } from './solve/errors.ts';

/** A lost pod or the stream to it; all of them are noticed only after everything once worked. */
const lostCodes: ReadonlySet<string> = new Set([
  'BUILDER_LOST',
  'BUILDKIT_LOST',
  'BUILDKIT_UNAVAILABLE',
  'CONNECTION_CLOSED',
  'EXEC_CLOSED',
  'REMOTE_LOST',
  'SESSION_TUNNEL_LOST',
]);

/** The next attempt would meet the same end: of its lifetime, or of the memory that it may use. */
const lostForGood: ReadonlySet<LossKind> = new Set(['expired', 'out-of-memory']);

/**
 * Whether a build that failed so is worth another attempt.
 *
 * True for a lost pod, a lost stream, and a registry that is overloaded or broken; never for a
 * failing step, a mistake in the Dockerfile, missing credentials or rights, a time-out or a
 * cancellation.
 */
export function isInfrastructure(failure: unknown): boolean {
  if (failure instanceof BuilderLost) return !lostForGood.has(failure.kind);
  if (failure instanceof SolveError) {
    return failure.code === 'SOLVE_FAILED' && isRegistryTrouble(failure.message);
  }
  return failure instanceof CodedError && lostCodes.has(String(failure.code));
}

/** Uid of a pod that is not to be tried again, though the cluster may take it for well. */
export function unreachablePod(failure: unknown): string | undefined {
  return failure instanceof BuilderLost && failure.kind === 'node-lost'
    ? failure.podUid
    : undefined;
}

/** gRPC's CANCELLED and UNAVAILABLE. */
const stoppedCodes: ReadonlySet<number> = new Set([1, 14]);

/**
 * Whether the way a build ended calls for a look at the pod: its connection went, or the daemon says
 * that the build was cancelled although we did not, as one does that is asked to stop.
 */
export function looksLikeLoss(failure: unknown): boolean {
  if (failure instanceof KubernetesError) return failure.code === 'EXEC_CLOSED';
  const answer = failure instanceof SolveError ? failure.cause : failure;
  if (answer instanceof BuildkitError) {
    return answer.code === 'BUILDKIT_CALL_FAILED'
      ? stoppedCodes.has(answer.grpcCode ?? 0)
      : lostCodes.has(answer.code);
  }
  return failure instanceof CodedError && lostCodes.has(String(failure.code));
}

/** The words of a step that ended by itself; what follows or precedes them is the user's own text. */
const failedStep = /did not complete successfully|executor failed running|exit code: \d/;

/** `429` and what a server, or a proxy before it, answers for lack of health. */
const status = String.raw`(?:429|500|502|503|504|52\d)\b`;

const registryAnswers: readonly RegExp[] = [
  // containerd: "unexpected status from PUT request to https://…: 503 Service Unavailable".
  new RegExp(String.raw`unexpected (?:HTTP )?status\b[^\n]*?: ${status}`, 'i'),
  // containerd: "… failed with status code [manifests 1.0]: 429 Too Many Requests".
  new RegExp(String.raw`with status code (?:\[[^\]]*\]: )?${status}`),
  /\btoomanyrequests: /i,
];

/** A request to a registry, as containerd's resolver and BuildKit's pusher name it. */
const registryRequest =
  /failed to (?:do request|copy|push|fetch|authorize|resolve source metadata|load cache key)\b/;

const brokenConnection =
  /connection reset by peer|broken pipe|unexpected EOF|: EOF\b|i\/o timeout|TLS handshake timeout|use of closed network connection|http2: (?:client connection lost|server sent GOAWAY)|server closed idle connection|(?:read|write) on closed pipe|connection timed out|Client\.Timeout exceeded|temporary failure in name resolution/i;

function isRegistryTrouble(message: string): boolean {
  if (failedStep.test(message)) return false;
  return (
    registryAnswers.some((pattern) => pattern.test(message)) ||
    (registryRequest.test(message) && brokenConnection.test(message))
  );
}
