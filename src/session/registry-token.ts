import type { RegistryCredentials } from '../credentials/credential-store.ts';
import { messageOf, type ErrorDetails } from '../shared/errors.ts';
import type { FetchTokenRequest } from '../wire/gen/auth.ts';
import { SessionError } from './errors.ts';
import {
  sendTokenRequest,
  type TokenHttpOptions,
  type TokenHttpRequest,
  type TokenHttpResponse,
} from './token-http.ts';

/** A bearer token and how long it holds, counted from `issuedAtSeconds` (Unix time; 0: now). */
export interface RegistryToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAtSeconds: number;
}

/** What registries mean when they do not say. */
const defaultExpirySeconds = 60;

const requestTimeoutMs = 30_000;

/** Answers of servers that know no OAuth POST: 400 Azure, 401 Artifactory, 404 Google, 405 others. */
const noOAuthStatuses = [400, 401, 404, 405];

/**
 * Gets a token from the token server of a registry.
 *
 * With a password or a refresh token by OAuth POST, and by GET where the server knows no POST;
 * without, by anonymous GET. A ready token is given back as it is. Throws `SessionError`
 * `REGISTRY_TOKEN_FAILED`, never with a secret in it. Follows BuildKit `session/auth/authprovider`
 * and containerd `core/remotes/docker/auth`.
 */
export async function fetchRegistryToken(
  request: FetchTokenRequest,
  options: TokenHttpOptions & { readonly credentials: RegistryCredentials },
): Promise<RegistryToken> {
  const { username, password, identityToken, registryToken } = options.credentials;
  if (registryToken !== undefined) {
    return { token: registryToken, expiresInSeconds: defaultExpirySeconds, issuedAtSeconds: 0 };
  }
  const secret = identityToken ?? password;
  const user = identityToken === undefined ? username : undefined;
  const exchange = new TokenExchange(request, { ...options, secret });
  if (secret === undefined) return exchange.byGet(undefined);
  const response = await exchange.post(oauthForm(request, user, secret));
  const fallBack =
    noOAuthStatuses.includes(response.status) && (response.status !== 405 || user !== undefined);
  return fallBack ? exchange.byGet(`${user ?? ''}:${secret}`) : exchange.read(response, 'POST');
}

class TokenExchange {
  readonly #request: FetchTokenRequest;
  readonly #options: TokenHttpOptions;
  readonly #secret: string | undefined;
  readonly #realm: URL;

  constructor(
    request: FetchTokenRequest,
    options: TokenHttpOptions & { readonly secret: string | undefined },
  ) {
    this.#request = request;
    this.#options = options;
    this.#secret = options.secret;
    this.#realm = this.#parseRealm();
  }

  post(form: URLSearchParams): Promise<TokenHttpResponse> {
    return this.#send({ url: this.#realm, headers: {}, form });
  }

  /** `userAndSecret` as basic authentication has it; undefined: anonymous. */
  async byGet(userAndSecret: string | undefined): Promise<RegistryToken> {
    const url = new URL(this.#realm);
    const { Service: service, Scopes: scopes } = this.#request;
    if (service !== '') url.searchParams.append('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const headers =
      userAndSecret === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(userAndSecret).toString('base64')}` };
    return this.read(await this.#send({ url, headers }), 'GET');
  }

  read(response: TokenHttpResponse, method: string): RegistryToken {
    if (response.status < 200 || response.status >= 300) {
      const reason = errorText(response.body);
      throw this.#failed(
        `${method} answered ${response.status}${reason === '' ? '' : ` (${reason})`}`,
        { hint: `check the credentials for ${this.#request.Host} and what they may pull and push` },
      );
    }
    const answer = parseJsonObject(response.body);
    const token = [answer?.access_token, answer?.token].find(isNonEmptyString);
    if (token === undefined) throw this.#failed(`${method} answered without a token`);
    return { token, ...validity(answer ?? {}) };
  }

  async #send(request: TokenHttpRequest): Promise<TokenHttpResponse> {
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    try {
      return await sendTokenRequest(request, {
        ...this.#options,
        signal: AbortSignal.any([this.#options.signal, timeout]),
      });
    } catch (error) {
      this.#options.signal.throwIfAborted();
      const what = timeout.aborted ? `no answer in ${requestTimeoutMs / 1000} s` : reasonOf(error);
      throw this.#failed(what, { cause: error });
    }
  }

  #parseRealm(): URL {
    const realm = URL.parse(this.#request.Realm);
    if (realm?.protocol === 'https:' || realm?.protocol === 'http:') return realm;
    throw new SessionError(
      'REGISTRY_TOKEN_FAILED',
      `failed to fetch oauth token: registry ${this.#request.Host} names no http(s) address of a token server`,
    );
  }

  #failed(what: string, details: ErrorDetails = {}): SessionError {
    const { origin, pathname } = this.#realm;
    // A server may repeat what it was sent.
    const safe = this.#secret === undefined ? what : what.replaceAll(this.#secret, '***');
    return new SessionError(
      'REGISTRY_TOKEN_FAILED',
      `failed to fetch oauth token for ${this.#request.Host} from ${origin}${pathname}: ${safe}`,
      details,
    );
  }
}

function oauthForm(
  request: FetchTokenRequest,
  user: string | undefined,
  secret: string,
): URLSearchParams {
  const form = new URLSearchParams();
  if (request.Scopes.length > 0) form.set('scope', request.Scopes.join(' '));
  form.set('service', request.Service);
  form.set('client_id', request.ClientID);
  if (user === undefined) {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', secret);
  } else {
    form.set('grant_type', 'password');
    form.set('username', user);
    form.set('password', secret);
  }
  return form;
}

function validity(
  answer: Readonly<Record<string, unknown>>,
): Pick<RegistryToken, 'expiresInSeconds' | 'issuedAtSeconds'> {
  const expiresIn = Math.trunc(Number(answer.expires_in));
  const issuedAt = Math.trunc(Date.parse(String(answer.issued_at)) / 1000);
  return {
    expiresInSeconds: expiresIn > 0 ? expiresIn : defaultExpirySeconds,
    issuedAtSeconds: issuedAt > 0 ? issuedAt : 0,
  };
}

/** What a registry says in the fields that are meant for it, on one line. */
function errorText(body: string): string {
  const answer = parseJsonObject(body) ?? {};
  const listed: unknown[] = Array.isArray(answer.errors) ? answer.errors : [];
  const texts = [...listed.map((entry) => (isObject(entry) ? entry.message : entry))]
    .concat([answer.details, answer.error_description, answer.message, answer.error])
    .filter(isNonEmptyString);
  return (texts[0] ?? '').replace(/\s+/g, ' ').slice(0, 200);
}

/** Of a host with several addresses, Node gives an error without text around those of each. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return messageOf(first ?? error);
}

function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNonEmptyString(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
