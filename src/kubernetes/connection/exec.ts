import type { ApiTarget } from '../api-target.ts';
import { KubernetesError } from '../errors.ts';
import type { ExecStream } from '../exec/exec-stream.ts';
import { openExecStream } from '../exec/open-exec-stream.ts';
import type { KubeClient } from '../kube-client.ts';
import { containerName } from '../manifests/labels.ts';
import type { Logger } from '../../shared/logger.ts';

/** BuildKit's own relay between stdin and stdout and the daemon's unix socket. */
export const relay: readonly string[] = ['buildctl', 'dial-stdio'];

export interface DaemonExecOptions {
  readonly client: Pick<KubeClient, 'resolveTarget'>;
  readonly namespace: string;
  readonly pod: string;
  readonly logger: Logger;
}

/** Runs a command in the daemon's container; throws what `openExecStream` throws. */
export function execInDaemon(
  { client, namespace, pod, logger }: DaemonExecOptions,
  command: readonly string[],
  signal: AbortSignal,
): Promise<ExecStream> {
  const container = containerName;
  const open = (target: ApiTarget): Promise<ExecStream> =>
    openExecStream({ target, namespace, pod, container, command, signal, logger });
  return withTarget(client, open, signal);
}

/** Uses the target of the API server, and once more with new credentials where they are refused. */
export async function withTarget<T>(
  client: Pick<KubeClient, 'resolveTarget'>,
  use: (target: ApiTarget) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const target = await client.resolveTarget(signal);
  try {
    return await use(target);
  } catch (failure) {
    if (!(failure instanceof KubernetesError) || failure.code !== 'KUBE_UNAUTHORIZED') {
      throw failure;
    }
    // A token may have been rotated since it was read.
    return await use(await client.resolveTarget(signal, target));
  }
}
