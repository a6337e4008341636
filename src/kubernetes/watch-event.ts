import type { WatchEvent } from './kube-client.ts';
import { ApiRefusal } from './kube-http.ts';
import type { Status } from './kube-objects.ts';

/**
 * Reads one line of a watch.
 *
 * Throws `ApiRefusal` for an ERROR event, such as 410 when the version is too old.
 */
export function parseWatchEvent<T>(line: string): WatchEvent<T> {
  const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: Status };
  if (event.type === 'ERROR') {
    throw new ApiRefusal(event.object.code ?? 500, event.object, undefined);
  }
  return event;
}
