import { messageOf } from '../../shared/errors.ts';
import type { CountedDuplex } from '../../shared/dialer.ts';
import type { Logger } from '../../shared/logger.ts';
import type { TlsClient } from '../../shared/tls-stream.ts';
import type { ApiTarget } from '../api-target.ts';
import { parseKubeStatus } from '../exec/exec-status.ts';
import { type HttpAnswer, requestUpgrade } from '../exec/upgrade.ts';
import { spdyOffer, type UpgradeOffer, webSocketOffer } from '../exec/upgrade-offer.ts';
import { tlsPort } from '../manifests/daemon-flags.ts';
import {
  type PortForwardCodec,
  SpdyPortForward,
  WebSocketPortForward,
} from './port-forward-codec.ts';
import { PortForwardStream } from './port-forward-stream.ts';
import { tlsOver } from './tls-over.ts';
import { WayFailure } from './way-failure.ts';

/** The framings of a forwarded port. */
export type PortForwardProtocol = 'websocket' | 'spdy';

export interface PortForwardOptions {
  readonly target: ApiTarget;
  readonly namespace: string;
  readonly pod: string;
  /** May still be on its way. */
  readonly tls: TlsClient | Promise<TlsClient>;
  readonly logger: Logger;
  /** Default 1234. */
  readonly port?: number;
  /** What may be used, in the order to try; default: all. */
  readonly protocols?: readonly PortForwardProtocol[];
  /** Default 20 000; a peer is dead after two of them without a byte. */
  readonly pingIntervalMs?: number;
  /** For each of connecting and the upgrade; default 5000. */
  readonly handshakeTimeoutMs?: number;
}

interface Attempt {
  readonly protocol: PortForwardProtocol;
  readonly offer: UpgradeOffer;
  readonly codec: PortForwardCodec;
}

/**
 * Opens a connection to the daemon in a pod through the API server, with mutual TLS inside.
 *
 * Needs the verb `create` on `pods/portforward` for SPDY, `get` for WebSocket. Resolves once the
 * daemon has greeted. Throws `WayFailure`, `KUBE_API_UNREACHABLE` or the signal's reason.
 */
export async function openPortForward(
  options: PortForwardOptions,
  signal: AbortSignal,
): Promise<CountedDuplex> {
  const { namespace, pod, tls, logger, port = tlsPort } = options;
  const { protocols = ['spdy', 'websocket'] } = options;
  const whom = `port ${port} of pod ${namespace}/${pod}`;
  let failure = new WayFailure('refused', 'no protocol was left to try');
  for (const attempt of protocols.map((protocol) => attemptFor(protocol, port))) {
    const outcome = await tryProtocol(attempt, { ...options, port, whom }, signal);
    if (outcome instanceof PortForwardStream) {
      logger.debug(`Forwarding to ${whom} over ${attempt.protocol}`);
      return tlsOver(outcome, { tls, whom }, signal);
    }
    logger.debug(`Forwarding over ${attempt.protocol} refused: ${outcome.message}`);
    // A lack of rights says more than what the other protocol met.
    if (failure.code !== 'KUBE_FORBIDDEN') failure = outcome;
    // The other protocol would meet the same.
    if (outcome.kind === 'passing') break;
  }
  throw failure;
}

function attemptFor(protocol: PortForwardProtocol, port: number): Attempt {
  return protocol === 'spdy'
    ? { protocol, offer: spdyOffer('portforward.k8s.io'), codec: new SpdyPortForward(port) }
    : { protocol, offer: webSocketOffer(['v4.channel.k8s.io']), codec: new WebSocketPortForward() };
}

async function tryProtocol(
  { offer, codec, protocol }: Attempt,
  options: PortForwardOptions & { readonly port: number; readonly whom: string },
  signal: AbortSignal,
): Promise<PortForwardStream | WayFailure> {
  const { target, namespace, pod, port, whom } = options;
  const { handshakeTimeoutMs: timeoutMs = 5000, pingIntervalMs = 20_000 } = options;
  const { method, headers } = offer;
  const folder = ['namespaces', namespace, 'pods', pod].map(encodeURIComponent).join('/');
  // Only WebSocket has the port here; SPDY says it per stream.
  const query = protocol === 'websocket' ? `?ports=${port}` : '';
  const request = { method, headers, path: `/api/v1/${folder}/portforward${query}` };
  const result = await requestUpgrade(target, request, { signal, timeoutMs });
  switch (result.kind) {
    case 'answered':
      return refusalOf(result.answer, whom);
    case 'silent':
      return refused(whom, `no answer within ${timeoutMs / 1000} s`);
    case 'broken':
      return refused(whom, messageOf(result.error), result.error);
    case 'switched': {
      const answer = offer.accept(result.headers);
      if ('chosen' in answer) {
        const { socket, head } = result;
        return new PortForwardStream({ socket, codec, whom, pingIntervalMs }, head);
      }
      result.socket.destroy();
      return refused(whom, `the server ${answer.wrong}`);
    }
  }
}

/** Judges a response that came in place of the upgrade. */
function refusalOf(answer: HttpAnswer, whom: string): WayFailure {
  const { statusCode, body } = answer;
  const status = parseKubeStatus(body);
  const said = status?.message ?? '';
  const message = `the API server did not forward ${whom}: HTTP ${statusCode}${said === '' ? '' : `: ${said}`}`;
  const details = { httpStatus: statusCode };
  if (statusCode === 401) {
    const hint =
      'Renew the credentials: the API server does not accept the token or certificate of the kubeconfig.';
    return new WayFailure('impossible', message, { ...details, code: 'KUBE_UNAUTHORIZED', hint });
  }
  // Without a Status it is the protocol that is refused, by the server or by what is in front of it.
  if (statusCode === 403 && status !== undefined) {
    const hint =
      'Grant the verbs "create" and "get" on "pods/portforward", or use connection: exec.';
    return new WayFailure('impossible', message, { ...details, code: 'KUBE_FORBIDDEN', hint });
  }
  const isAboutUpgrade = status === undefined || /upgrad/i.test(said);
  if (!isAboutUpgrade && (statusCode === 404 || statusCode === 429 || statusCode >= 500)) {
    return new WayFailure('passing', message, details);
  }
  return new WayFailure('refused', message, { ...details, hint: upgradeHint });
}

const upgradeHint =
  'Something between this runner and the node does not pass port-forward: use connection: exec, or auto.';

function refused(whom: string, why: string, cause?: unknown): WayFailure {
  return new WayFailure('refused', `the API server did not forward ${whom}: ${why}`, {
    hint: upgradeHint,
    cause,
  });
}
