import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { KubernetesError } from './errors.ts';
import type { Finding } from './finding.ts';
import type { KubeClient } from './kube-client.ts';
import { containerName } from './manifests/labels.ts';
import { modeHint } from './mode-hints.ts';

const logLines = 20;
const logTimeoutMs = 5_000;

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
    const log = (await client.podLog(at, inTime)).trimEnd();
    const message = log === '' ? text : `${text}; its last lines:\n${log}`;
    const isDaemon = container === containerName;
    return new KubernetesError(code, message, {
      hint: (isDaemon ? modeHint(complaints(log)) : undefined) ?? hint,
    });
  } catch (failure) {
    logger.debug(`the log of ${name} cannot be read: ${messageOf(failure)}`);
    return new KubernetesError(code, text, { hint });
  }
}

/** The lines that tell of a failure: others may name the same things, as the usage of the daemon. */
function complaints(log: string): string {
  const lines = log.split('\n');
  return lines.filter((line) => /error|fail|fatal|denied|not permitted/i.test(line)).join('\n');
}
