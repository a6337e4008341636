import { setImmediate as nextTurn } from 'node:timers/promises';

import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/logger.ts';
import type { ApiTarget } from '../api-target.ts';
import { KubernetesError } from '../errors.ts';
import type { ExecCodec, ExecProtocol } from './exec-codec.ts';
import { isTlsFailure, unreachable } from './connect-failure.ts';
import { ExecStream } from './exec-stream.ts';
import {
  brokenUpgrade,
  describePod,
  type ExecSubject,
  type ExecTransport,
  type Refusal,
  refusalOf,
  refusedExec,
  silentUpgrade,
} from './refusals.ts';
import { SpdyExec } from './spdy-exec.ts';
import { requestUpgrade } from './upgrade.ts';
import { spdyOffer, type UpgradeOffer, webSocketOffer } from './upgrade-offer.ts';
import { WebSocketExec } from './websocket-exec.ts';

export interface OpenExecOptions {
  readonly target: ApiTarget;
  readonly namespace: string;
  readonly pod: string;
  /** By name: a mesh may have put its own container first. */
  readonly container: string;
  readonly command: readonly string[];
  /** Ends the opening; the open stream is ended by `destroy()`. */
  readonly signal: AbortSignal;
  readonly logger?: Logger;
  /** What may be used; default: all, SPDY first. */
  readonly protocols?: readonly ExecProtocol[];
  /** Default 20 000; a peer is dead after two of them without a byte. */
  readonly pingIntervalMs?: number;
  /** For each of connecting, the upgrade and its streams; default 5000. */
  readonly handshakeTimeoutMs?: number;
}

const everyProtocol: readonly ExecProtocol[] = ['spdy', 'websocket-v5', 'websocket-v4'];

/**
 * Runs a command in a container and gives its stdin and stdout as one stream.
 *
 * Tries SPDY/3.1, then WebSocket where SPDY is refused. Resolves when the server has switched and,
 * over SPDY, taken the streams; whether the command runs, only its first byte tells. A stream that
 * fails before anyone listens has its error in `errored`. Throws
 * `KubernetesError` with `KUBE_API_UNREACHABLE`, `KUBE_UNAUTHORIZED`, `KUBE_FORBIDDEN`,
 * `KUBE_API_FAILED` (nothing in time included), `EXEC_REFUSED` (the pod or container is not there), `EXEC_UPGRADE_REFUSED`
 * (nothing passes upgrades) or `EXEC_FAILED`, or the signal's reason.
 */
export async function openExecStream(options: OpenExecOptions): Promise<ExecStream> {
  const { namespace, pod, container, command, target } = options;
  const subject = { namespace, pod, container, command, host: target.server.host };
  const refusals: Refusal[] = [];
  for (const attempt of attemptsFor(options.protocols ?? everyProtocol)) {
    const outcome = await tryTransport(attempt, options, subject);
    if (outcome instanceof ExecStream) {
      options.logger?.debug(`Exec into ${describePod(subject)} over ${outcome.protocol}`);
      return outcome;
    }
    refusals.push(outcome);
    options.logger?.debug(`Exec over ${outcome.transport} refused: ${outcome.reason}`);
    if (outcome.final) break;
  }
  throw refusedExec(refusals, subject);
}

/** One way to ask for an exec. */
interface Attempt {
  readonly transport: ExecTransport;
  readonly offer: UpgradeOffer;
  readonly codecOf: (chosen: string) => ExecCodec;
}

function attemptsFor(protocols: readonly ExecProtocol[]): Attempt[] {
  const versions = protocols.filter((protocol) => protocol !== 'spdy');
  return [
    ...(protocols.includes('spdy') ? [spdyAttempt()] : []),
    ...(versions.length > 0 ? [webSocketAttempt(versions)] : []),
  ];
}

function spdyAttempt(): Attempt {
  return {
    transport: 'SPDY',
    offer: spdyOffer('v4.channel.k8s.io'),
    codecOf: () => new SpdyExec(),
  };
}

function webSocketAttempt(versions: readonly Exclude<ExecProtocol, 'spdy'>[]): Attempt {
  const names = versions.map((version) => `${version.replace('websocket-', '')}.channel.k8s.io`);
  return {
    transport: 'WebSocket',
    offer: webSocketOffer(names),
    codecOf: (chosen) =>
      new WebSocketExec(chosen === 'v5.channel.k8s.io' ? 'websocket-v5' : 'websocket-v4'),
  };
}

async function tryTransport(
  attempt: Attempt,
  options: OpenExecOptions,
  subject: ExecSubject,
): Promise<ExecStream | Refusal> {
  const { target, signal, handshakeTimeoutMs: timeoutMs = 5000, pingIntervalMs = 20_000 } = options;
  const { transport, offer, codecOf } = attempt;
  signal.throwIfAborted();
  const { method, headers } = offer;
  const request = { method, headers, path: execPath(subject) };
  const result = await requestUpgrade(target, request, { signal, timeoutMs });
  if (result.kind === 'answered') return refusalOf(transport, result.answer, subject);
  if (result.kind === 'silent') return silentUpgrade(transport, timeoutMs);
  if (result.kind === 'broken') {
    // In TLS 1.3 servers judge the client's certificate when the handshake seems done.
    if (isTlsFailure(result.error)) throw unreachable(result.error, target.server, target.proxy);
    return brokenUpgrade(transport, messageOf(result.error));
  }
  const answer = offer.accept(result.headers);
  const { socket, head } = result;
  if ('wrong' in answer) {
    socket.destroy();
    return brokenUpgrade(transport, `the server ${answer.wrong}`);
  }
  const codec = codecOf(answer.chosen);
  const stream = new ExecStream({ socket, codec, subject, pingIntervalMs }, head);
  return settle(stream, { transport, signal, timeoutMs });
}

interface Settling {
  readonly transport: ExecTransport;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Waits until the far side has taken the exec; what it says in the same breath counts too. */
async function settle(
  stream: ExecStream,
  { transport, signal, timeoutMs }: Settling,
): Promise<ExecStream | Refusal> {
  const abort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  const late = new Error('its streams were not answered in time');
  const timeout = setTimeout(() => {
    stream.destroy(late);
  }, timeoutMs);
  // Stays on: the stream may fail before its owner listens, and `errored` will tell that as well.
  stream.on('error', () => undefined);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await stream.opened;
    await nextTurn();
    if (stream.errored !== null) throw stream.errored;
    return stream;
  } catch (error) {
    signal.throwIfAborted();
    if (error === late) return silentUpgrade(transport, timeoutMs);
    if (error instanceof KubernetesError && error.code === 'EXEC_FAILED') throw error;
    return brokenUpgrade(transport, messageOf(error));
  } finally {
    clearTimeout(timeout);
    signal.removeEventListener('abort', abort);
  }
}

function execPath({ namespace, pod, container, command }: ExecSubject): string {
  const query = new URLSearchParams({ container, stdin: 'true', stdout: 'true', stderr: 'true' });
  for (const word of command) query.append('command', word);
  const path = ['namespaces', namespace, 'pods', pod, 'exec'].map(encodeURIComponent).join('/');
  return `/api/v1/${path}?${query.toString()}`;
}
