import { readFile } from 'node:fs/promises';
import { request as requestHttp, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { request as requestHttps, Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import type { RegistryHostConfig } from '../options/options.ts';

/** The TLS part of a host in `registry-config`. */
export type RegistryTls = Pick<RegistryHostConfig, 'insecure' | 'ca' | 'cert' | 'key'>;

/** A request to a token server; the body decides between GET and POST. */
export interface TokenHttpRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** A form, sent by POST. */
  readonly form?: URLSearchParams;
}

export interface TokenHttpResponse {
  readonly status: number;
  readonly body: string;
}

/** How requests leave: through which proxy, trusting whom, until when. */
export interface TokenHttpOptions {
  /** `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, either case; loopback is never proxied. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Certificates are added to those of the system. */
  readonly tls: RegistryTls | undefined;
  readonly signal: AbortSignal;
}

const maxRedirects = 5;
const maxBodyBytes = 1024 * 1024;

/**
 * Sends one request to a token server and reads the answer, whatever its status.
 *
 * Follows redirects of GET requests, without credentials to another host. Throws the network's
 * error, and the reason of the signal.
 */
export async function sendTokenRequest(
  request: TokenHttpRequest,
  options: TokenHttpOptions,
): Promise<TokenHttpResponse> {
  let next = request;
  for (let redirects = 0; ; redirects += 1) {
    const response = await send(next, options);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    const body = await readBody(response);
    if (status < 300 || status > 399 || location === undefined || next.form !== undefined) {
      return { status, body };
    }
    if (redirects === maxRedirects) throw new Error(`more than ${maxRedirects} redirects`);
    next = redirected(next, new URL(location, next.url));
  }
}

function redirected(request: TokenHttpRequest, url: URL): TokenHttpRequest {
  // Go's client, which registries are tried with, drops all that authenticates as well.
  return { url, headers: url.origin === request.url.origin ? request.headers : {} };
}

async function send(
  { url, headers, form }: TokenHttpRequest,
  options: TokenHttpOptions,
): Promise<IncomingMessage> {
  const body = form?.toString();
  const proxyEnv = isLoopback(url.hostname) ? {} : { proxyEnv: options.env };
  const isHttps = url.protocol === 'https:';
  const agent = isHttps
    ? new HttpsAgent({ ...proxyEnv, ...(await tlsOptions(options.tls)) })
    : new HttpAgent(proxyEnv);
  return new Promise((resolve, reject) => {
    const outgoing = (isHttps ? requestHttps : requestHttp)(url, {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        'user-agent': 'kube-buildx-action',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }),
        ...headers,
      },
      signal: options.signal,
    });
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function tlsOptions(tls: RegistryTls | undefined): Promise<object> {
  if (tls === undefined) return {};
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(readPem));
  return {
    rejectUnauthorized: !tls.insecure,
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readPem(pathOrPem: string | undefined): Promise<string | undefined> {
  if (pathOrPem === undefined || pathOrPem.includes('-----BEGIN ')) return pathOrPem;
  return readFile(pathOrPem, 'utf8');
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBodyBytes) throw new Error(`answer of more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}
