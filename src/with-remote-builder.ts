import type { BuildkitConnection } from './buildkit/connection.ts';
import { untilAborted } from './kubernetes/until-aborted.ts';
import type { RemoteEndpoint } from './options/options.ts';
import type { Dialer } from './shared/dialer.ts';
import { inGroup } from './shared/logger.ts';
import type { BuilderRequest, ConnectedBuilder } from './with-builder.ts';
import { RemoteBuilder } from './remote/remote-builder.ts';

/** Names a daemon that nobody has given a name. */
const defaultName = 'remote';

/** Connects to a daemon that exists and hands it to `use`. */
export async function withRemoteBuilder<T>(
  request: Pick<BuilderRequest, 'logger' | 'options' | 'sharedName' | 'signal' | 'timings'> & {
    readonly endpoint: RemoteEndpoint;
  },
  open: (dial: Dialer, signal: AbortSignal) => Promise<BuildkitConnection>,
  use: (connected: ConnectedBuilder) => Promise<T>,
): Promise<T> {
  const { options, sharedName, endpoint, logger, signal, timings } = request;
  const { timeoutMs } = options.driver;
  const remote = new RemoteBuilder({ endpoint, timeoutMs, logger });
  await using connection = await inGroup(logger, 'Builder', async () => {
    const opened = await remote.connect(open, signal);
    logger.info(`BuildKit ${opened.version} answered at ${remote.endpoint}`);
    return opened;
  });
  timings.end('builder');
  const name = options.name ?? sharedName ?? defaultName;
  const builder: ConnectedBuilder['builder'] = {
    driver: 'remote',
    name,
    nodeName: name,
    endpoint: remote.endpoint,
    // Only its connection tells.
    podLost: (watching) => untilAborted(new Promise<never>(() => undefined), watching),
    answersAnew: (asking, reached) => remote.answers(asking, reached),
    explainLoss: (explaining, cause) => remote.explainLoss(explaining, cause),
  };
  return await use({ builder, connection });
}
