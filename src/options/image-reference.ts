/** An image name split up and completed the way Docker does. */
export interface ImageReference {
  /** With registry and `library/`, such as `docker.io/library/alpine`. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

// Grammar of github.com/distribution/reference.
const domainComponent = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const host = String.raw`(?:${domainComponent}(?:\.${domainComponent})*|\[[a-fA-F0-9:]+\])`;
const domain = `${host}(?::[0-9]+)?`;
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const path = `${pathComponent}(?:/${pathComponent})*`;
const tag = String.raw`\w[\w.-]{0,127}`;
const digest = 'sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}';
const reference = new RegExp(`^((?:${domain}/)?${path})(?::(${tag}))?(?:@(${digest}))?$`);
const hexIdentifier = /^[a-f0-9]{64}$/;
const longestPath = 255;
const longestReference = 1024;

/** The accepted form of image names, for error messages. */
export const imageReferenceForm = 'an image reference such as ghcr.io/acme/app:1.2';

/** Parses an image name as Docker does; undefined when it is malformed. */
export function parseImageReference(text: string): ImageReference | undefined {
  if (text.length > longestReference || hexIdentifier.test(text)) return undefined;
  const match = reference.exec(text);
  if (match === null) return undefined;
  const [, name = ''] = match;
  const repository = completeName(name);
  if (repository === undefined) return undefined;
  return { repository, tag: match[2], digest: match[3] };
}

/** Says what is wrong with a malformed image name. */
export function describeReferenceProblem(text: string): string {
  return parseImageReference(text.toLowerCase()) === undefined
    ? 'is not an image reference'
    : 'has upper-case letters in its repository name';
}

function completeName(name: string): string | undefined {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = /[.:A-Z]/.test(first) || first === 'localhost';
  const registry = isDomain ? first : 'docker.io';
  const rest = isDomain ? name.slice(slash + 1) : name;
  const isOfficial = registry === 'docker.io' && !rest.includes('/');
  const completePath = isOfficial ? `library/${rest}` : rest;
  const wellFormed = new RegExp(`^${path}$`).test(completePath);
  return wellFormed && completePath.length <= longestPath
    ? `${registry}/${completePath}`
    : undefined;
}
