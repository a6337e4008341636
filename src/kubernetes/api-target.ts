import type { SecureContext, SecureContextOptions } from 'node:tls';

/**
 * Where the API server is and how to be let in: all that a socket of our own needs.
 *
 * Good for one connection: tokens rotate, so take a fresh one from `ResolveApiTarget` each time.
 */
export interface ApiTarget {
  /** May have a path, below which the API lives (Rancher and other gateways). */
  readonly server: URL;
  readonly tls: SecureContextOptions & {
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /**
   * The certificates and key of `tls` made ready, the same for all connections: each would take
   * milliseconds for its own. Throws what is wrong with them.
   */
  readonly secureContext?: () => SecureContext;
  /** `Authorization` and impersonation; secrets, never to be logged. */
  readonly headers: Readonly<Record<string, string>>;
  /** HTTP or HTTPS proxy for CONNECT; its credentials are in the user information of the URL. */
  readonly proxy?: URL;
}

/**
 * Builds an `ApiTarget` from the kubeconfig, running credential plugins when it must.
 *
 * `refused` is a target whose credentials the server did not accept (401): they are renewed, unless
 * that has already been done.
 */
export type ResolveApiTarget = (signal: AbortSignal, refused?: ApiTarget) => Promise<ApiTarget>;
