import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { KubernetesError } from './errors.ts';
import type { Finding } from './finding.ts';
import type { KubeClient } from './kube-client.ts';
import { containerName } from './manifests/labels.ts';
import { modeHint } from './mode-hints.ts';

const logLines = 20;
const logTimeoutMs = 5_000;
const flagComplaint = /^buildkitd: .*\b(?:flag provided but not defined|for flag|flag needs)\b/m;

/**
 * The error that a finding ends the wait with; of a container that crashed with its last lines.
 *
 * Without rights on logs, or within 5 s, it is told without them.
 */
export async function hopelessError(
  { code, text, hint, crashed }: Finding,
  where: { readonly client: KubeClient; readonly namespace: string; readonly logger: Logger },
  signal: AbortSignal,
): Promise<KubernetesError> {
  if (crashed === undefined) return new KubernetesError(code, text, { hint });
  const { client, namespace, logger } = where;
  const { pod: name, container, previous } = crashed;
  const at = { namespace, name, container, tailLines: logLines, previous };
  try {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(logTimeoutMs)]);
    const log = await client.podLog(at, inTime);
    const isDaemon = container === containerName;
    const lines = (isDaemon ? withoutUsage(log) : log).trimEnd();
    const message = lines === '' ? text : `${text}; its last lines:\n${lines}`;
    return new KubernetesError(code, message, {
      hint: (isDaemon ? daemonHint(lines) : undefined) ?? hint,
    });
  } catch (failure) {
    logger.debug(`the log of ${name} cannot be read: ${messageOf(failure)}`);
    return new KubernetesError(code, text, { hint });
  }
}

/** After a wrong flag buildkitd prints all that there are, some of them before what is wrong. */
function withoutUsage(log: string): string {
  if (!flagComplaint.test(log)) return log;
  return log
    .split('\n')
    .filter((line) => line.startsWith('buildkitd: '))
    .join('\n');
}

function daemonHint(log: string): string | undefined {
  return flagComplaint.test(log)
    ? 'Correct buildkitd-flags; `buildkitd --help` in the image lists them.'
    : modeHint(complaints(log));
}

/** The lines that tell of a failure: others may name the same things, as the usage of the daemon. */
function complaints(log: string): string {
  const lines = log.split('\n');
  return lines
    .filter((line) => /error|fail|fatal|denied|not permitted|requires/i.test(line))
    .join('\n');
}
