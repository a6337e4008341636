import { KubernetesError, type KubernetesErrorCode } from '../errors.ts';
import { parseKubeStatus } from './exec-status.ts';
import type { HttpAnswer } from './upgrade.ts';

/** The framings between which an exec chooses. */
export type ExecTransport = 'SPDY' | 'WebSocket';

/** What an exec was asked for, to name it in messages. */
export interface ExecSubject {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Host and port of the API server. */
  readonly host: string;
}

/** Why one transport did not come about. */
export interface Refusal {
  readonly transport: ExecTransport;
  readonly code: KubernetesErrorCode;
  /** What came back, without naming the pod. */
  readonly reason: string;
  readonly hint: string;
  /** Whether another transport would meet the same. */
  readonly final: boolean;
  /** Of the answer; unset when there was none. */
  readonly httpStatus?: number;
}

/** `pod ns/name (container c)`. */
export function describePod({ namespace, pod, container }: ExecSubject): string {
  return `pod ${namespace}/${pod} (container ${container})`;
}

const upgradeHint =
  'Something between this runner and the API server does not pass connection upgrades: allow them there, or use another server address or connection.';

const overloadedHint = 'The API server or the node may be overloaded; try again.';

/** Judges a response that came in place of the upgrade. */
export function refusalOf(
  transport: ExecTransport,
  answer: HttpAnswer,
  subject: ExecSubject,
): Refusal {
  const status = parseKubeStatus(answer.body);
  const message = status?.message ?? '';
  const reason = `${describeAnswer(answer)}${colon(status === undefined ? excerpt(answer) : message)}`;
  const refusal = (code: KubernetesErrorCode, hint: string, final: boolean): Refusal => ({
    transport,
    code,
    reason,
    hint,
    final,
    httpStatus: answer.statusCode,
  });
  if (answer.statusCode === 401) {
    return refusal(
      'KUBE_UNAUTHORIZED',
      'The API server does not accept the credentials: renew the token or certificate of the user in the kubeconfig.',
      true,
    );
  }
  if (answer.statusCode === 403 && status !== undefined) {
    return refusal(
      'KUBE_FORBIDDEN',
      `Grant the verbs "create" and "get" on "pods/exec" in the namespace ${subject.namespace}.`,
      false,
    );
  }
  if (answer.body.startsWith('container not found')) {
    // The node's own words, passed on by the API server without a Status around them.
    return refusal('EXEC_REFUSED', 'The container is not running (yet, or any more).', true);
  }
  if (isAboutUpgrade(answer, status === undefined ? undefined : message)) {
    return refusal('EXEC_UPGRADE_REFUSED', upgradeHint, false);
  }
  if (answer.statusCode === 429 || answer.statusCode >= 500) {
    return refusal('KUBE_API_FAILED', overloadedHint, true);
  }
  return refusal('EXEC_REFUSED', 'Check that the pod is running and has this container.', true);
}

/** The connection broke before or during the upgrade, as gateways do with what they do not know. */
export function brokenUpgrade(transport: ExecTransport, reason: string): Refusal {
  return { transport, code: 'EXEC_UPGRADE_REFUSED', reason, hint: upgradeHint, final: false };
}

/**
 * Nothing came in time, as from a node under load.
 *
 * Another transport may be answered, since some gateways swallow what they do not know.
 */
export function silentUpgrade(transport: ExecTransport, timeoutMs: number): Refusal {
  const reason = `no answer within ${timeoutMs / 1000} s`;
  return { transport, code: 'KUBE_API_FAILED', reason, hint: overloadedHint, final: false };
}

/** The error for an exec that no transport could open; `refusals` has at least one. */
export function refusedExec(refusals: readonly Refusal[], subject: ExecSubject): KubernetesError {
  const last = refusals.at(-1);
  const told = last?.final === true ? [last] : refusals;
  const codes = new Set(told.map(({ code }) => code));
  const [onlyCode = 'EXEC_UPGRADE_REFUSED'] = codes;
  const reasons = new Set(told.map(({ reason }) => reason));
  const ways =
    reasons.size === 1
      ? ` (${told.map(({ transport }) => transport).join(' and ')}): ${[...reasons].join('')}`
      : `: ${told.map(({ transport, reason }) => `${transport}: ${reason}`).join('; ')}`;
  // What met silence may be answered the next time, whatever became of the other way.
  const mixed = codes.has('KUBE_API_FAILED') ? 'KUBE_API_FAILED' : 'EXEC_UPGRADE_REFUSED';
  return new KubernetesError(
    codes.size === 1 ? onlyCode : mixed,
    `The API server ${subject.host} did not open an exec into ${describePod(subject)}${ways}`,
    { hint: [...new Set(told.map(({ hint }) => hint))].join(' '), httpStatus: last?.httpStatus },
  );
}

/**
 * Whether the request's form was refused rather than what it asks for.
 *
 * The API server explains itself with a Status object; other bodies come from proxies in front of
 * it, or from a node, whose own reasons the next transport will bring as a status.
 */
function isAboutUpgrade({ statusCode }: HttpAnswer, message: string | undefined): boolean {
  if (message === undefined) return statusCode !== 429;
  return [405, 426, 501, 502].includes(statusCode) || /upgrad/i.test(message);
}

function describeAnswer({ statusCode, statusMessage, headers }: HttpAnswer): string {
  const by = typeof headers.server === 'string' ? ` from ${headers.server.slice(0, 60)}` : '';
  const to = headers.location === undefined ? '' : `, redirecting to ${originOf(headers.location)}`;
  return `HTTP ${statusCode} ${statusMessage}`.trim() + by + to;
}

/** Redirects may carry tokens in their query. */
function originOf(location: string): string {
  return location.replace(/[?#].*$/s, '').slice(0, 200);
}

/** First line of a text body, or the title of a page. */
function excerpt({ body }: HttpAnswer): string {
  // Bodies may be long and hostile, and the tags below are looked for in quadratic time.
  const start = body.slice(0, 4096);
  const title = /<title>([^<]*)<\/title>/i.exec(start)?.[1];
  const text = (title ?? start).replace(/<[^>]*>/g, ' ').trim();
  return text.split('\n', 1).join('').replace(/\s+/g, ' ').slice(0, 200);
}

function colon(text: string): string {
  return text === '' ? '' : `: ${text}`;
}
