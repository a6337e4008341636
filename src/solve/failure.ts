import type { BuildkitErrorDetails } from '../buildkit/error-details.ts';
import { linesOf, sourceExcerpt, type LineRange } from './source-excerpt.ts';

/** A place in a build definition. */
export interface BuildLocation extends LineRange {
  /** As the frontend knows it: the base name of the Dockerfile. */
  readonly filename: string;
}

/** What is known about a build that failed. */
export interface BuildFailure {
  /** The daemon's words, without what its layers added to them. */
  readonly message: string;
  /** The step that failed. */
  readonly vertexDigest: string | undefined;
  readonly location: BuildLocation | undefined;
  /** The lines at fault, framed as buildx prints them; ends with a newline. */
  readonly excerpt: string | undefined;
}

/** Gathers the facts from the daemon's message and what it attached. */
export function buildFailure(
  message: string,
  details: BuildkitErrorDetails | undefined,
): BuildFailure {
  const sources = details?.sources ?? [];
  const excerpts = new Set(sources.map(sourceExcerpt).filter((text) => text !== undefined));
  return {
    message: plainMessage(message),
    vertexDigest: details?.vertexDigest,
    location: sources.map(locationOf).find((place) => place !== undefined),
    excerpt: excerpts.size === 0 ? undefined : [...excerpts].join(''),
  };
}

function locationOf(source: BuildkitErrorDetails['sources'][number]): BuildLocation | undefined {
  const lines = linesOf(source);
  return lines === undefined ? undefined : { filename: source.filename, ...lines };
}

/** Wrappers that name a layer of the daemon and say nothing about the build. */
const noise: readonly (readonly [RegExp, string])[] = [
  [/rpc error: code = \w+ desc = /g, ''],
  [/^(?:failed to solve(?: with frontend [\w.]+)?: )+/, ''],
  [/(?:failed to compute cache key: )?failed to calculate checksum of ref \S+: /g, ''],
];

/** The daemon's words without the names of its layers. */
export function plainMessage(message: string): string {
  return noise.reduce((text, [pattern, plain]) => text.replace(pattern, plain), message).trim();
}

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /granting entitlement \S+ is not allowed/,
    'The builder does not grant it: allow it in the BuildKit config of the builder.',
  ],
  [
    /\bnetwork\.host is not allowed$/,
    'The Dockerfile asks for the network of the host: set `network: host`, or remove it there.',
  ],
  [
    /\bsecurity\.insecure is not allowed$/,
    'The Dockerfile asks for it, and this version of the action cannot allow it: remove it there.',
  ],
  [
    /server gave HTTP response to HTTPS client/,
    'The registry speaks plain HTTP: set `http: true` for it in `registry-config`.',
  ],
  [
    /x509: |certificate signed by unknown authority/,
    'Give the certificate authority of the registry as `ca` in `registry-config`.',
  ],
  [
    /\b40[13] (?:Unauthorized|Forbidden)\b|insufficient_scope|authorization failed|access is denied|no basic auth credentials/i,
    'See that the credentials for this registry are given, by `registry-auth` or a docker login before this step, and may do this.',
  ],
  [
    /\b429 Too Many Requests\b|toomanyrequests/,
    'The registry limits how often it is asked: use an account or a mirror with a higher limit, or run the job again later.',
  ],
  [
    /\bunexpected status\b.*\b50[0234] [A-Z]/,
    'The registry itself fails: see how it is doing, and run the job again later.',
  ],
  [
    /no space left on device/,
    'Raise `limits.ephemeral-storage` in `driver-opts`, or use nodes with larger disks.',
  ],
  [
    /did not complete successfully: exit code: 137$/,
    'The step was killed, most likely for memory: raise `limits.memory` in `driver-opts`, or let it use less.',
  ],
  [
    /exec format error/,
    'The step runs a program of another architecture than the node has: check `platforms` and the base image.',
  ],
  [/^"\/.*": not found$/, 'Check the path against the context folder and `.dockerignore`.'],
];

/** What to change, for causes that are not in the Dockerfile itself. */
export function hintFor(message: string): string | undefined {
  return hints.find(([pattern]) => pattern.test(message))?.[1];
}
