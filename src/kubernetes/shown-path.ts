/**
 * Whether a setting that should be a path looks like one, so that errors may show it.
 *
 * What does not may be a secret that was pasted in place of a path.
 */
export function looksLikePath(value: string): boolean {
  if (!/^[\w@%+=:,.~/\\ -]{1,200}$/.test(value) || /[\w+=-]{40}/.test(value)) return false;
  const startsLikeOne = /^(?:~?\/|\.{1,2}\/|[A-Za-z]:[\\/])/.test(value);
  return startsLikeOne || /\.(?:ya?ml|json|conf(?:ig)?|kubeconfig|pem|crt|cer|cert)$/.test(value);
}
