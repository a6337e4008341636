import { messageOf } from '../../shared/errors.ts';
import { KubernetesError } from '../errors.ts';

const checkServer =
  'Check the server (and proxy-url) in the kubeconfig, and that this runner may reach it.';

const unknownAuthority = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Says why there is no connection to the API server: always `KUBE_API_UNREACHABLE`. */
export function unreachable(failure: unknown, server: URL, proxy?: URL): KubernetesError {
  const way = proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
  const { why, hint } = explain(failure, server);
  return new KubernetesError(
    'KUBE_API_UNREACHABLE',
    `The Kubernetes API server ${server.origin} cannot be reached${way}: ${why}`,
    { hint, cause: failure },
  );
}

function explain(failure: unknown, server: URL): { readonly why: string; readonly hint: string } {
  const code = codeOf(failure);
  if (unknownAuthority.has(code)) {
    return {
      why: `its certificate is not signed by the certificate authority of the kubeconfig (${code})`,
      hint: 'Correct certificate-authority-data in the kubeconfig.',
    };
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    // The name may be that of the proxy.
    const { hostname = server.hostname } = failure as { readonly hostname?: string };
    return { why: `the name ${hostname} cannot be resolved (${code})`, hint: checkServer };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      why: `its certificate is for another name than ${server.hostname}`,
      hint: 'Use a server name of the certificate, or set tls-server-name in the kubeconfig.',
    };
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return { why: `its certificate is out of date (${code})`, hint: 'Renew the certificate.' };
  }
  if (/^ERR_(SSL|OSSL)|^EPROTO$/.test(code)) {
    return {
      why: `TLS failed (${code})`,
      hint: 'Check that the server speaks TLS, and the client certificate and key of the kubeconfig.',
    };
  }
  return { why: describeFailure(failure), hint: checkServer };
}

/** A name with several addresses fails with an error for each and no text of its own. */
function describeFailure(failure: unknown): string {
  const parts = failure instanceof AggregateError ? failure.errors.map(messageOf) : [];
  const text = parts.length > 0 ? parts.join(', ') : messageOf(failure);
  return text === '' ? codeOf(failure) || 'no reason was given' : text;
}

/** Whether a failure after the connection was made is still one of TLS. */
export function isTlsFailure(failure: unknown): boolean {
  return codeOf(failure).startsWith('ERR_SSL');
}

function codeOf(failure: unknown): string {
  // That of a DOMException is a number.
  const { code } = failure as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}
