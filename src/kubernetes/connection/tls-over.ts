import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

import type { CountedDuplex } from '../../shared/dialer.ts';
import { tlsFailureOf } from '../../shared/tls-failure.ts';
import { openTlsStream, type TlsClient } from '../../shared/tls-stream.ts';
import { untilAborted } from '../until-aborted.ts';
import { WayFailure } from './way-failure.ts';

/**
 * Speaks mutual TLS with a builder's daemon over `stream`, until it has greeted.
 *
 * `whom` names the far side in messages. Takes the stream over, also when it fails. Throws
 * `WayFailure` of kind `impossible` for what is wrong with certificates, else the error of the
 * stream or the signal's reason.
 */
export async function tlsOver(
  stream: Duplex & Counters,
  { tls, whom }: { readonly tls: TlsClient | Promise<TlsClient>; readonly whom: string },
  signal: AbortSignal,
): Promise<CountedDuplex> {
  // It may fail while there is nobody to listen yet; `errored` tells that as well.
  stream.on('error', () => undefined);
  try {
    const client = await untilAborted(Promise.resolve(tls), signal);
    if (stream.errored !== null) throw stream.errored;
    return counting(await openTlsStream(stream, client, signal), stream);
  } catch (error) {
    stream.destroy();
    const failure = signal.aborted ? undefined : tlsFailureOf(error);
    if (failure === undefined) throw error;
    throw new WayFailure(
      'impossible',
      `what answers at ${whom} is not this builder: ${failure.why}`,
      {
        hint:
          failure.kind === 'not-let-in'
            ? 'The Secret of the builder is not the one that its pod has started with: remove the builder, or restart its pod.'
            : 'Another machine of that address may have answered, or the certificates of the builder have expired: use connection: exec, or make the builder anew.',
        cause: error,
      },
    );
  }
}

interface Counters {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** What goes over the wire counts, rather than what is encrypted into it. */
function counting(socket: TLSSocket, below: Counters): TLSSocket {
  return Object.defineProperties(socket, {
    bytesRead: { get: () => below.bytesRead },
    bytesWritten: { get: () => below.bytesWritten },
  });
}
