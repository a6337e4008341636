import type { ApiTarget, ResolveApiTarget } from './api-target.ts';

/** Shorter lines, such as the last one of a key, give nothing away and would blot out the log. */
const shortestLine = 8;

/** Passes each secret of a target to `mask`, once, before anything can be done with the target. */
export function maskingTargets(
  resolveTarget: ResolveApiTarget,
  mask: (secret: string) => void,
): ResolveApiTarget {
  const masked = new Set<string>();
  return async (signal, refused) => {
    const target = await resolveTarget(signal, refused);
    for (const secret of secretsOfTarget(target)) {
      if (masked.has(secret)) continue;
      masked.add(secret);
      mask(secret);
    }
    return target;
  };
}

/**
 * What must not be printed of a target: tokens, passwords and private keys, in every form in which
 * a kubeconfig or a request has them, each on one line.
 */
export function secretsOfTarget({ headers, tls, proxy }: ApiTarget): string[] {
  return [
    ...secretsOfAuthorization(headers.Authorization ?? ''),
    ...[tls.key].flat().flatMap(secretsOfKey),
    ...secretsOfProxy(proxy),
  ].filter((secret) => secret !== '');
}

function secretsOfAuthorization(header: string): string[] {
  const [scheme = '', credentials = ''] = header.split(/\s+/, 2);
  if (scheme !== 'Basic') return [credentials];
  const pair = Buffer.from(credentials, 'base64').toString('utf8');
  return [credentials, pair.slice(pair.indexOf(':') + 1)];
}

function secretsOfKey(key: unknown): string[] {
  if (typeof key !== 'string' && !Buffer.isBuffer(key)) return [];
  const text = key.toString();
  const lines = text.split(/\s*\n/).filter((line) => !line.startsWith('-----'));
  return [...lines, Buffer.from(text).toString('base64')].filter(
    (line) => line.length >= shortestLine,
  );
}

function secretsOfProxy(proxy: URL | undefined): string[] {
  if (proxy === undefined) return [];
  try {
    return [proxy.password, decodeURIComponent(proxy.password)];
  } catch {
    return [proxy.password];
  }
}
