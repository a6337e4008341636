import type { Way } from './way-failure.ts';

/** How the daemon of a pod was reached, so that a later step can take the same way at once. */
export type ReachedWay =
  | { readonly way: 'exec'; readonly pod: string }
  | { readonly way: 'port-forward'; readonly pod: string; readonly secret: string }
  | {
      readonly way: 'direct';
      readonly pod: string;
      readonly secret: string;
      readonly address: string;
    };

/** One word without blanks, for an environment variable; holds no secrets. */
export function encodeReachedWay(reached: ReachedWay): string {
  const { pod, way } = reached;
  const secret = 'secret' in reached ? [reached.secret] : [];
  const address = 'address' in reached ? [reached.address] : [];
  return [pod, way, ...secret, ...address].join('/');
}

/** The other way round; anything odd, as from another version, is an exec into the pod it names. */
export function decodeReachedWay(text: string): ReachedWay {
  const [pod = '', way = 'exec', secret = '', address = ''] = text.split('/');
  if (way === ('direct' satisfies Way) && secret !== '' && address !== '') {
    return { way, pod, secret, address };
  }
  if (way === ('port-forward' satisfies Way) && secret !== '') return { way, pod, secret };
  return { way: 'exec', pod };
}
