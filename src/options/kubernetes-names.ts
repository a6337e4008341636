/**
 * The grammars of names that Kubernetes checks on its server.
 *
 * Follows `IsQualifiedName`, `IsValidLabelValue`, `IsDNS1123Label` and `IsDNS1123Subdomain` of
 * kubernetes/apimachinery (util/validation).
 */

/** The accepted form of DNS names, for error messages. */
export const dnsSubdomainForm =
  'at most 253 lower-case letters, digits, dashes and dots, a letter or digit at both ends of each part';

/** The accepted form of the keys of labels, annotations and taints, for error messages. */
export const qualifiedNameForm =
  '[domain/]name, the name at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends';

/** The accepted form of the values of labels and taints, for error messages. */
export const labelValueForm =
  'at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends';

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const labelName = /^[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?$/;

/** One part of a host name, such as the name of a namespace. */
export function isDnsLabel(text: string, longest = 63): boolean {
  return text.length <= longest && dnsLabel.test(text);
}

/** Host names and the names of most objects. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => dnsLabel.test(part));
}

/** Keys of labels, annotations and taints. */
export function isQualifiedName(text: string): boolean {
  const slash = text.lastIndexOf('/');
  const name = text.slice(slash + 1);
  return (
    name.length <= 63 && labelName.test(name) && (slash < 0 || isDnsSubdomain(text.slice(0, slash)))
  );
}

/** Values of labels and taints, which may be empty. */
export function isLabelValue(text: string): boolean {
  return text === '' || (text.length <= 63 && labelName.test(text));
}
