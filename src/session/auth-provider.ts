import type { CredentialStore, RegistryCredentials } from '../credentials/credential-store.ts';
import { entryOfHost } from '../credentials/registry-host.ts';
import { isGoTrue } from '../shared/go-boolean.ts';
import {
  AuthDefinition,
  type CredentialsResponse,
  type FetchTokenRequest,
  type FetchTokenResponse,
} from '../wire/gen/auth.ts';
import { rpcMethod } from '../wire/rpc.ts';
import type { Attachable } from './attachable.ts';
import { grpcStatus, SessionError } from './errors.ts';
import { fetchRegistryToken } from './registry-token.ts';
import { TokenAuthority } from './token-authority.ts';
import type { RegistryTls } from './token-http.ts';
import { unaryMethod } from './unary.ts';

/** What registry authentication needs and whom it tells. */
export interface AuthProviderOptions {
  readonly credentials: CredentialStore;
  /** By registry host; also used for the token server of that registry. */
  readonly registryConfig: Readonly<Record<string, RegistryTls>>;
  /** `BUILDKIT_NO_CLIENT_TOKEN` and the proxy variables are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called with every token before it is handed out. */
  readonly mask: (secret: string) => void;
  /** Called once for each step worth a line of progress, such as `[auth] app:pull token for ghcr.io`. */
  readonly onAuth?: (title: string) => void;
}

/**
 * Answers the daemon's questions about registries: `moby.filesync.v1.Auth`.
 *
 * Tokens are fetched on our side, so that passwords never reach the daemon; with
 * `BUILDKIT_NO_CLIENT_TOKEN=1` it is told to fetch them itself and gets the passwords. A failing
 * credential helper is thrown as it is. Follows BuildKit `session/auth/authprovider`.
 */
export function authProvider(options: AuthProviderOptions): Attachable {
  const { credentials, getTokenAuthority, verifyTokenAuthority, fetchToken } =
    AuthDefinition.methods;
  const announce = announceOnce(options.onAuth);
  const authority = new TokenAuthority();
  const credentialsOf = async (host: string, signal: AbortSignal): Promise<RegistryCredentials> =>
    (await options.credentials.get(host, signal)) ?? {};
  const authorityHost = async (
    host: string,
    signal: AbortSignal,
  ): Promise<{ host: string; hasSecret: boolean }> => {
    refuseIfDaemonShallFetch(options.env);
    return { host, hasSecret: secretOf(await credentialsOf(host, signal)) !== undefined };
  };
  return {
    methods: {
      ...unaryMethod(rpcMethod(AuthDefinition, credentials), async ({ Host }, { signal }) => {
        const response = toCredentialsResponse(await credentialsOf(Host, signal));
        if (response.Secret !== '') announce(`[auth] sharing credentials for ${Host}`);
        return response;
      }),
      ...unaryMethod(rpcMethod(AuthDefinition, fetchToken), async (request, { signal }) => {
        const found = await credentialsOf(request.Host, signal);
        if (isAskedFor(found)) announce(tokenTitle(request));
        return fetchMaskedToken(request, { ...options, found, signal });
      }),
      ...unaryMethod(
        rpcMethod(AuthDefinition, getTokenAuthority),
        async ({ Host, Salt }, { signal }) => ({
          PublicKey: authority.publicKey(await authorityHost(Host, signal), Salt),
        }),
      ),
      ...unaryMethod(
        rpcMethod(AuthDefinition, verifyTokenAuthority),
        async ({ Host, Salt, Payload }, { signal }) => ({
          Signed: authority.sign(await authorityHost(Host, signal), Salt, Payload),
        }),
      ),
    },
  };
}

async function fetchMaskedToken(
  request: FetchTokenRequest,
  options: AuthProviderOptions & { found: RegistryCredentials; signal: AbortSignal },
): Promise<FetchTokenResponse> {
  const fetched = await fetchRegistryToken(request, {
    credentials: options.found,
    env: options.env,
    tls: tlsFor(request, options.registryConfig),
    signal: options.signal,
  });
  options.mask(fetched.token);
  return {
    Token: fetched.token,
    ExpiresIn: BigInt(fetched.expiresInSeconds),
    IssuedAt: BigInt(fetched.issuedAtSeconds),
  };
}

/** Settings of the registry; where it has none, those of the token server's own host. */
function tlsFor(
  request: FetchTokenRequest,
  registryConfig: AuthProviderOptions['registryConfig'],
): RegistryTls | undefined {
  const realmHost = URL.parse(request.Realm)?.host ?? '';
  return entryOfHost(registryConfig, request.Host) ?? entryOfHost(registryConfig, realmHost);
}

function toCredentialsResponse(found: RegistryCredentials): CredentialsResponse {
  return found.identityToken === undefined
    ? { Username: found.username ?? '', Secret: found.password ?? '' }
    : { Username: '', Secret: found.identityToken };
}

function secretOf(found: RegistryCredentials): string | undefined {
  return found.registryToken ?? found.identityToken ?? found.password;
}

/** Whether a token costs a request with a secret; one that is ready is worth no line. */
function isAskedFor(found: RegistryCredentials): boolean {
  return found.registryToken === undefined && secretOf(found) !== undefined;
}

function refuseIfDaemonShallFetch(env: AuthProviderOptions['env']): void {
  if (!isGoTrue(env.BUILDKIT_NO_CLIENT_TOKEN ?? '')) return;
  throw new SessionError('SESSION_CALL_REFUSED', 'client side tokens disabled', {
    status: grpcStatus.unavailable,
  });
}

function tokenTitle({ Host, Scopes }: FetchTokenRequest): string {
  const scopes = Scopes.map((scope) => scope.replace(/^repository:/, ''));
  return `[auth] ${[...scopes, 'token for'].join(' ')} ${Host}`;
}

function announceOnce(onAuth: ((title: string) => void) | undefined): (title: string) => void {
  const announced = new Set<string>();
  return (title) => {
    if (announced.has(title)) return;
    announced.add(title);
    onAuth?.(title);
  };
}
